"""The WAL kinds, by URL: how a broker opens its own, how a recoverer takes a dead one's, and what this host can see of
a holder.

    file:///directory                  local disk: a ring and a lifetime lock (disk.py)
    file:///directory?fence=verify     network volume or shared directory: a ring per life, and verification (shared.py)
    objects://   s3://bucket/prefix    slots in an object store, that of the objects or another one (slots.py)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from broker.clock import Clock
from broker.ids import Entropy
from broker.objects import ObjectStore, claim
from broker.wal.base import Duties, Entry, Wal, WalError
from broker.wal.disk import LOCK_FILE, RING_FILE, DiskWal
from broker.wal.holder import HeldByAnother, LifetimeLock, boot_id, holder_of, is_free, is_running, kill_if_stopped
from broker.wal.places import MOUNTS, directory_of, refuse_shared, verifies
from broker.wal.shared import Place, SharedWal
from broker.wal.shelf import Shelf
from broker.wal.slot_fence import fence_and_read
from broker.wal.slot_sweep import sweep_slots
from broker.wal.slots import ObjectWal

LOCK_POLL_S = 0.05
VERIFIED = "file?fence=verify"
FENCE_WAIT_S = 0.1
BESIDE_OBJECTS = "objects://"
"""The WAL URL that means the store of the objects."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Site:
    """Whose WAL, and where."""

    url: str
    broker: int
    host_id: str
    """The boot id of the host that the broker runs on, or ran on."""


@dataclass(frozen=True, kw_only=True)
class Seized:
    """A dead broker's WAL behind its fence: what it holds, and how to let go of it."""

    entries: Sequence[Entry]
    release: Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the kinds need, handed in."""

    clock: Clock
    entropy: Entropy
    duties: Duties
    host_id: str
    say: Say
    cluster_id: str
    store: Callable[[str], ObjectStore]
    """The object store that a WAL's URL names."""
    pace_s: float
    """Between two slots at least."""


class Kind(Protocol):
    """One kind of WAL, for the broker's own and for those of others."""

    async def own(self, site: Site, capacity_bytes: int, patience_s: float) -> Wal:
        """This broker's WAL, locked where there is a lock. HeldByAnother after `patience_s`, or WalError."""

    async def seize(self, site: Site, epochs: Sequence[int]) -> Seized:
        """Fences the WAL of a dead broker's epochs and reads it; waits for a holder to go. WalError when it cannot
        be reached from here.
        """

    def is_free(self, site: Site) -> bool:
        """Whether it can be seen from here, now, that nobody holds it."""

    def is_running(self, site: Site) -> bool:
        """Whether its holder is seen to be a running process."""

    async def sweep(self, url: str) -> int:
        """Deletes what nobody needs any more, where a recovery does not clean up by itself; how many. For the
        controller.
        """


class DiskKind:
    """`file:///directory` on a local disk: the lifetime lock is the fence."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def own(self, site: Site, capacity_bytes: int, patience_s: float) -> Wal:
        """Waits a little for the lock: a recoverer of this broker's earlier life gives it back when it is done."""
        refuse_shared(site.url, MOUNTS.read_text())
        clock = self._tools.clock
        patience = clock.monotonic() + patience_s
        while True:
            try:
                return await self._take(directory_of(site.url), capacity_bytes)
            except HeldByAnother:
                if clock.monotonic() > patience:
                    raise
                await clock.sleep(LOCK_POLL_S)

    async def seize(self, site: Site, epochs: Sequence[int]) -> Seized:
        """Kills a holder that is provably stopped."""
        directory = directory_of(site.url)
        if site.host_id != self._tools.host_id or not (directory / RING_FILE).exists():
            raise WalError(
                f"the WAL of broker {site.broker} ({site.url}) is not reachable from here:"
                " its partitions stay offline until it is back, or until it is declared lost"
            )
        while True:
            try:
                wal = await self._take(directory, 0)
            except HeldByAnother:
                if (pid := kill_if_stopped(directory / LOCK_FILE)) is not None:
                    self._tools.say(
                        f"broker {site.broker} (pid {pid}) was stopped beyond its session: killed, lest it write again"
                    )
                await self._tools.clock.sleep(FENCE_WAIT_S)
            else:
                return Seized(entries=wal.recovered.entries, release=wal.let_go)

    async def _take(self, directory: Path, capacity_bytes: int) -> DiskWal:
        return await asyncio.get_running_loop().run_in_executor(
            None, DiskWal.take, directory, capacity_bytes, self._tools.entropy
        )

    def is_free(self, site: Site) -> bool:
        return site.host_id == self._tools.host_id and is_free(directory_of(site.url) / LOCK_FILE)

    def is_running(self, site: Site) -> bool:
        return site.host_id == self._tools.host_id and is_running(directory_of(site.url) / LOCK_FILE)

    async def sweep(self, url: str) -> int:
        """A ring is its broker's own."""
        return 0


class SharedKind:
    """`file:///directory?fence=verify`: the fence is an epoch that ends before anybody else reads. The lock, where the
    file system has one, only makes things quicker and clearer.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def own(self, site: Site, capacity_bytes: int, patience_s: float) -> Wal:
        """Refuses to take over from a broker whose heart beats (law 5). A holder on another host that does not beat
        cannot keep its lock from its successor: the epoch ends it.
        """
        tools, place = self._tools, _place(site)
        before = holder_of(place.lock)
        lock = await self._lock(place, patience_s)
        if lock is None or before is None or before.boot_id != boot_id():
            await refuse_twin(tools, site.broker, patience_s / 2)
        ring = await asyncio.get_running_loop().run_in_executor(
            None, SharedWal.make_ring, place, capacity_bytes, tools.entropy
        )
        return SharedWal(place, lock, ring, duties=tools.duties, clock=tools.clock, say=tools.say)

    async def _lock(self, place: Place, patience_s: float) -> LifetimeLock | None:
        clock = self._tools.clock
        patience = clock.monotonic() + patience_s
        while True:
            try:
                return place.prepare()
            except HeldByAnother:
                holder = holder_of(place.lock)
                if clock.monotonic() > patience:
                    if holder is None or holder.boot_id == boot_id():
                        raise
                    return None
                await clock.sleep(LOCK_POLL_S)
            except OSError as error:
                raise WalError(
                    f"{place.directory}: {error.strerror or error}; check the volume and its mount"
                ) from error

    async def seize(self, site: Site, epochs: Sequence[int]) -> Seized:
        """Reads: the epochs ended before this was asked for. A stopped holder is killed only so that its successor on
        this host finds the lock free.
        """
        place = _place(site)
        if site.host_id == self._tools.host_id and (pid := kill_if_stopped(place.lock)) is not None:
            self._tools.say(f"broker {site.broker} (pid {pid}) was stopped beyond its session: killed")
        try:
            entries = await asyncio.get_running_loop().run_in_executor(None, place.read, epochs)
        except WalError as error:
            raise WalError(
                f"the WAL of broker {site.broker} ({site.url}) is not reachable from here: {error}."
                " Its partitions stay offline until it is back, or until it is declared lost"
            ) from error
        return Seized(entries=entries, release=_nothing_held)

    def is_free(self, site: Site) -> bool:
        """A lock that names its holder was taken, so here a free one means that the holder is gone."""
        lock = _place(site).lock
        return site.host_id == self._tools.host_id and holder_of(lock) is not None and is_free(lock)

    def is_running(self, site: Site) -> bool:
        return site.host_id == self._tools.host_id and is_running(_place(site).lock)

    async def sweep(self, url: str) -> int:
        """A broker deletes the rings of its earlier lives itself."""
        return 0


def _place(site: Site) -> Place:
    return Place(directory=directory_of(site.url), broker=site.broker)


class SlotKind:
    """`objects://` and `s3://bucket/prefix`: no lock, and in reach of every broker; the fence is a slot."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def own(self, site: Site, capacity_bytes: int, patience_s: float) -> Wal:
        """No lock says that another process runs under this id, so its heart is listened to (law 5). Should it only
        have been slow, the fence ends it and nothing is lost.
        """
        tools = self._tools
        await refuse_twin(tools, site.broker, patience_s / 2)
        store = tools.store(site.url)
        await claim(store, tools.cluster_id)
        return ObjectWal(
            store=store,
            broker=site.broker,
            capacity_bytes=capacity_bytes,
            duties=tools.duties,
            clock=tools.clock,
            entropy=tools.entropy,
            pace_s=tools.pace_s,
            say=tools.say,
        )

    async def seize(self, site: Site, epochs: Sequence[int]) -> Seized:
        """StoreUnavailable, or the metadata's error: try again later."""
        tools = self._tools
        me, store = tools.entropy(16), tools.store(site.url)
        entries: list[Entry] = []
        for epoch in epochs:
            shelf = Shelf(store=store, broker=site.broker, epoch=epoch, clock=tools.clock)
            entries += (await fence_and_read(shelf, tools.duties, me)).entries
        return Seized(entries=entries, release=_nothing_held)

    def is_free(self, site: Site) -> bool:
        """Nothing shows it."""
        return False

    def is_running(self, site: Site) -> bool:
        """Nothing shows it."""
        return False

    async def sweep(self, url: str) -> int:
        return await sweep_slots(self._tools.store(url), self._tools.duties, self._tools.clock)


async def _nothing_held() -> None:
    """The fence stays."""


async def refuse_twin(tools: Tools, broker: int, patience_s: float) -> None:
    """HeldByAnother when that broker id's heart beats within `patience_s`: for kinds where no lock shows it."""
    clock, duties = tools.clock, tools.duties
    before = now = await duties.heart(broker)
    patience = clock.monotonic() + patience_s
    while now is not None and clock.monotonic() < patience:
        await clock.sleep(LOCK_POLL_S)
        now = await duties.heart(broker)
        if now is not None and now != before:
            raise HeldByAnother(f"broker {broker} is alive, its heart beats: give this one another --id")


class Wals:
    """Every kind this broker knows, by the URL's scheme."""

    def __init__(self, tools: Tools) -> None:
        slots = SlotKind(tools)
        self._kinds: dict[str, Kind] = {
            "file": DiskKind(tools),
            VERIFIED: SharedKind(tools),
            "objects": slots,
            "s3": slots,
        }

    def of(self, url: str) -> Kind:
        """WalError for a kind this broker does not have."""
        scheme = VERIFIED if verifies(url) else url.partition("://")[0]
        if (kind := self._kinds.get(scheme)) is None:
            raise WalError(f"WAL {url}: give file:///..., objects:// or s3://...")
        return kind

    async def sweep(self, urls: Iterable[str]) -> int:
        """Deletes what nobody needs any more in the WALs at these URLs; how much."""
        return sum([await self.of(url).sweep(url) for url in sorted(set(urls))])
