"""Bugs to plant, one per law that the checker must see broken. Only `launch` installs them, before a broker is made.

Each is what somebody might really write: an answer given a moment too soon, a fence that is trusted to be where a LIST
says, a state that is forgotten in a recovery. `plants.py` says under which faults each of them must show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from broker.errors import KafkaError
from broker.log import recovery
from broker.log.liveness import Liveness
from broker.log.log import Log
from broker.log.membership import Membership
from broker.log.uploader import Uploaded, Uploader, object_key
from broker.metadata import members
from broker.objects.layout import build
from broker.wal import disk, holder, kinds, slots
from broker.wal.base import Duties, Entry
from broker.wal.holder import LifetimeLock
from broker.wal.shelf import Shelf
from broker.wal.slot_fence import Fenced, fence_and_read
from broker.wal.slot_layout import PREFIX, Place, pack_fence
from broker.wal.writer import RingWal

LATE_S = 0.3


def ack_before_sync() -> None:
    """Law 1: the answer goes out when the entry is queued, not when it is durable."""
    append = RingWal.append

    def eager(self: RingWal, entry: Entry, durable: Callable[[], None]) -> None:
        append(self, entry, lambda: None)
        asyncio.get_running_loop().call_soon(durable)

    RingWal.append = eager  # type: ignore[method-assign]


def lease_only_fence() -> None:
    """Law 4: a session that ran out is taken for the holder's end; nobody asks for the lock."""

    def take(cls: type[LifetimeLock], path: Any) -> LifetimeLock:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = holder.os.open(path, holder.os.O_RDWR | holder.os.O_CREAT | holder.os.O_CLOEXEC, 0o644)
        return cls(path, fd)

    LifetimeLock.take = classmethod(take)  # type: ignore[method-assign, assignment]
    LifetimeLock.release = lambda self: None  # type: ignore[method-assign]
    for module in (kinds, holder):
        module.is_free = lambda path: False
        module.is_running = lambda path: False
        module.kill_if_stopped = lambda path: None
    assert disk.LifetimeLock is LifetimeLock


def commit_before_upload() -> None:
    """Law 8: ranges point at an object that is still on its way."""

    async def put(self: Uploader, parts: Any, object_id: int | None, places: Any) -> Uploaded:
        if object_id is None:
            object_id = await self._prepare()
        data = build([(part.log.uid, part.pieces) for part in parts])

        async def later() -> None:
            await asyncio.sleep(LATE_S)
            await self._store.put(object_key(object_id), data)

        _KEPT.append(asyncio.ensure_future(later()))
        return Uploaded(object_id=object_id, size_bytes=data.size_bytes, seconds=0.0)

    Uploader._put = put  # type: ignore[method-assign]


def fence_at_list_max() -> None:
    """Fence table: the slots are those that a LIST shows, and the fence goes behind them."""

    async def listed(shelf: Shelf, duties: Duties, recoverer: bytes) -> Fenced:
        start = await duties.trim_point(shelf.broker, shelf.epoch)
        places = [Place.of(key) for key, _ in await shelf.store.list(PREFIX)]
        mine = [p.sequence for p in places if p is not None and (p.broker, p.epoch) == (shelf.broker, shelf.epoch)]
        fence = max([*mine, start - 1]) + 1
        await shelf.put(fence, pack_fence(shelf.place(fence), recoverer))
        found = [await shelf.get(sequence) for sequence in range(start, fence)]
        entries: list[Entry] = []
        for slot in found:
            if slot is None or slot.is_fence:
                break
            entries += slot.entries()
        return Fenced(shelf=shelf, start=start, fence=fence, entries=entries)

    for module in (kinds, slots):
        module.fence_and_read = listed  # type: ignore[attr-defined]


def fence_deleted() -> None:
    """Fence table: the fence goes when the recovery is done."""

    async def tidy(shelf: Shelf, duties: Duties, recoverer: bytes) -> Fenced:
        fenced = await fence_and_read(shelf, duties, recoverer)
        await shelf.delete(fenced.fence)
        return fenced

    for module in (kinds, slots):
        module.fence_and_read = tidy  # type: ignore[attr-defined]


def high_watermark_early() -> None:
    """Law 6: consumers are given what is not durable yet."""
    read, wait_for = Log.read, Log.wait_for

    def early(log: Log) -> Log:
        """The same log, with another idea of what may be seen."""
        other = object.__new__(Log)
        other.__dict__ = {**log.__dict__, "high_watermark": log.log_end}
        return other

    async def read_early(self: Log, *arguments: Any, **named: Any) -> Any:
        return await read(early(self), *arguments, **named)

    Log.read = read_early  # type: ignore[method-assign]
    Log.wait_for = lambda self, offset: wait_for(early(self), offset)  # type: ignore[method-assign]


def recovery_without_producer_state() -> None:
    """Metadata: a recovered partition forgets what its producers have written."""
    salvage = recovery.salvage

    def forgetful(*arguments: Any) -> Any:
        extents, parts = salvage(*arguments)
        return [replace(extent, producers=b"") for extent in extents], parts

    recovery.salvage = forgetful


def trim_before_commit() -> None:
    """Law 8: the WAL forgets what is not in a committed object yet."""
    upload = Uploader.upload

    async def hasty(self: Uploader, logs: Sequence[Log], *arguments: Any) -> None:
        await self._wal.trim(self._wal.mark())
        await asyncio.sleep(LATE_S)
        await upload(self, logs, *arguments)

    Uploader.upload = hasty  # type: ignore[method-assign]


def stale_controller() -> None:
    """Law 11: one that was the controller goes on as one: it acts on what it last saw, and nobody checks its epoch."""
    members.check_controller = lambda tx, me, controller_epoch: None
    observe = Liveness.observe

    def never_stalled(self: Liveness, beats: Any, now: float) -> None:
        self._looked_at = None
        observe(self, beats, now)

    async def watch(self: Membership) -> None:
        while True:
            try:
                await self._duties(self._metadata.image)
                await self._metadata.refresh()
                self._liveness.observe(self._metadata.beats, self._clock.monotonic())
            except KafkaError as error:
                self._say(f"controller duty failed, trying again: {error}")
            await self._clock.sleep(self._config.poll_s)

    Liveness.observe = never_stalled  # type: ignore[method-assign]
    Membership.watch = watch  # type: ignore[method-assign]


_KEPT: list[asyncio.Future[None]] = []
"""Tasks nobody waits for; the loop holds them only weakly."""

PLANTS: dict[str, Callable[[], None]] = {
    "ack before sync": ack_before_sync,
    "lease-only fence": lease_only_fence,
    "commit before upload": commit_before_upload,
    "fence at LIST-max": fence_at_list_max,
    "fence deleted": fence_deleted,
    "high watermark early": high_watermark_early,
    "recovery without producer state": recovery_without_producer_state,
    "trim before commit": trim_before_commit,
    "stale controller": stale_controller,
}
