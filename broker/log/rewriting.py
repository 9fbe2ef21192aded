"""New objects in the place of old ranges: prepare -> read -> write -> one transaction (laws 3 and 8).

What cannot be had any more is told apart: an object whose ranges went while we read it was retention's or somebody
else's; one that is missing although ranges point at it is a loss, and its partitions are left alone from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from broker.clock import Clock
from broker.log.compaction_plan import Group, Output
from broker.log.config import StorageStats
from broker.log.reader import object_key
from broker.log.sources import Place, read_index, read_span, spans
from broker.metadata import commits, compactions
from broker.metadata.compactions import Held, NewObject, Swap
from broker.metadata.database import MetadataUnavailable
from broker.metadata.rows import RangeRow
from broker.metadata.store import Metadata
from broker.objects.faults import Damaged, Missing
from broker.objects.layout import Piece, build
from broker.objects.store import ObjectStore
from broker.wal.kinds import Say

TRIES = 50
WAIT_S = 0.2

Swaps = Callable[[int], list[Swap]]
"""What is swapped, once the new object's id is known."""


@dataclass(kw_only=True)
class Halted:
    """What is wrong in the bucket."""

    objects: dict[int, str] = field(default_factory=dict)
    """Object id to what is wrong with it."""
    uids: set[int] = field(default_factory=set)
    """Partitions that are not compacted any more because an object of theirs is missing."""


class Rewriter:
    """Shared by compaction and cleaning; `store` is a handle of their own, behind the tail's (law 13)."""

    def __init__(
        self, *, metadata: Metadata, store: ObjectStore, clock: Clock, broker_id: int, stats: StorageStats, say: Say
    ) -> None:
        self.halted = Halted()
        self._metadata, self._store, self._clock = metadata, store, clock
        self._id, self._stats, self._say = broker_id, stats, say

    def failed(self) -> None:
        """Counts a round that ended in an error."""
        self._stats.compaction_failures += 1

    async def rewrite(self, output: Output) -> int:
        """Makes one object and swaps it in; the bytes that were read. 0 when nothing of it is left to do."""
        begun = self._clock.monotonic()
        held = [Held(uid=group.uid, row=row) for group in output.groups for row in group.rows]
        pieces = await self.read(held)
        groups = [g for g in output.groups if all((g.uid, row.start) in pieces for row in g.rows)]
        if not groups:
            return 0
        parts = [(g.uid, [piece for row in g.rows for piece in pieces[g.uid, row.start]]) for g in groups]
        await self.publish(parts, output.level, lambda object_id: [_merged(group, object_id) for group in groups])
        read_bytes = sum(group.size_bytes for group in groups)
        self._stats.compactions += 1
        self._stats.compaction_bytes_in += read_bytes
        self._stats.on_operation("compact", "ok", self._clock.monotonic() - begun)
        return read_bytes

    async def read(self, held: Sequence[Held]) -> dict[Place, list[Piece]]:
        """The blocks of each range, in order; ranges that cannot be had are left out, and said when that is a loss."""
        by_object: dict[int, list[Held]] = {}
        for one in held:
            by_object.setdefault(one.row.object_id, []).append(one)
        sizes = await self._metadata.read(lambda tx: compactions.sizes(tx, list(by_object)))
        found: dict[Place, list[Piece]] = {}
        for object_id, ranges in by_object.items():
            if object_id not in sizes:
                continue
            try:
                found.update(await self._read_object(object_id, sizes[object_id], ranges))
            except (Missing, Damaged) as error:
                await self._suspect(object_id, str(error), lost=isinstance(error, Missing))
        return found

    async def _read_object(self, object_id: int, size: int, ranges: Sequence[Held]) -> dict[Place, list[Piece]]:
        blocks = await read_index(self._store, object_id, size)
        planned = await asyncio.get_running_loop().run_in_executor(None, spans, blocks, ranges)
        found: dict[Place, list[Piece]] = {(one.uid, one.row.start): [] for one in ranges}
        for span in planned:
            for place, piece in await read_span(self._store, object_id, span):
                found[place].append(piece)
        return found

    async def _suspect(self, object_id: int, why: str, *, lost: bool) -> None:
        """Stops compacting the partitions of an object that is lost, unless nothing points at it any more. One that is
        damaged is left out, and tried again with the next round: the store may do better then.
        """
        still = await self._metadata.read(lambda tx: compactions.held_in(tx, [object_id]))
        if not still:
            return
        if lost:
            self.halted.uids.update(one.uid for one in still)
        if object_id not in self.halted.objects:
            self.halted.objects[object_id] = why
            self._stats.missing_objects = len(self.halted.objects)
            self._say(
                f"object {object_id} is not what was written ({why}): its {len({one.uid for one in still})} partitions"
                f" are not compacted{' any more' if lost else ' now'}; restore it from a copy of the bucket"
            )

    async def publish(self, parts: Sequence[tuple[int, Sequence[Piece]]], level: int, swaps: Swaps) -> set[Place]:
        """One object of those parts, committed in the place of what `swaps` says; what was refused."""
        now_ms = self._clock.wall_ms()
        object_id = await self._metadata.write(lambda tx: commits.prepare(tx, self._id, now_ms))
        data = await asyncio.get_running_loop().run_in_executor(None, build, parts)
        await self._store.put(object_key(object_id), data)
        made = [NewObject(object_id=object_id, size_bytes=data.size_bytes, level=level)]
        wanted = swaps(object_id)
        refused = await self._swap(made, wanted)
        self._stats.compaction_bytes_out += data.size_bytes
        self._stats.compacted_objects += len({row.object_id for one in wanted for row in one.old})
        return refused

    async def _swap(self, made: Sequence[NewObject], wanted: Sequence[Swap]) -> set[Place]:
        """Asked again until it is answered: the same objects are swapped in once only."""
        for attempt in range(TRIES):
            now_ms = self._clock.wall_ms()
            try:
                return await self._metadata.write(lambda tx, at=now_ms: compactions.swap(tx, made, wanted, at))  # type: ignore[misc]
            except MetadataUnavailable:
                if attempt == TRIES - 1:
                    raise
                await self._clock.sleep(WAIT_S)
        raise AssertionError("unreachable: the last try returns or raises")


def _merged(group: Group, object_id: int) -> Swap:
    whole = RangeRow(
        start=group.rows[0].start,
        end=group.rows[-1].end,
        object_id=object_id,
        size_bytes=group.size_bytes,
        max_timestamp_ms=max(row.max_timestamp_ms for row in group.rows),
    )
    return Swap(uid=group.uid, old=group.rows, new=(whole,))
