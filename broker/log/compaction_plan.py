"""Which ranges become which objects: the arithmetic of compaction, pure (docs/decisions has the reasons).

Two things must not explode: the number of objects (a PUT costs as much as a dozen GETs, and metadata has a row each)
and the pieces a catch-up reader has to fetch.

1. A partition with at least `own_bytes` in the shared objects at hand gets an object of its own: below that a reader's
   read-ahead finds its records in one GET anyway.
2. The rest is shared again, in order of partition, so that its next merge reads each object in a few spans. A shared
   object carries its level, and a level is merged when some partition lies in `FANOUT` of its objects: a record of a
   tiny partition is rewritten once per level, not once per round.
3. Objects of one partition are merged when the result is at least `GROWTH` times the largest of them: a record is
   rewritten at most log1.5(64 MiB / 4 MiB) = 7 times, and about 4 times in practice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from broker.metadata.compactions import OWN_LEVEL, Held
from broker.metadata.rows import RangeRow

FANOUT = 8
GROWTH = 1.5
MAX_GROUPS = 2000
"""Partitions in one shared output: what one transaction swaps without holding up its neighbours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Consecutive ranges of one partition that become one range."""

    uid: int
    rows: tuple[RangeRow, ...]

    @property
    def size_bytes(self) -> int:
        return sum(row.size_bytes for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One object to be made."""

    groups: tuple[Group, ...]
    level: int

    @property
    def size_bytes(self) -> int:
        return sum(group.size_bytes for group in self.groups)


def consecutive(held: Iterable[Held]) -> Iterator[Group]:
    """Runs of ranges without a gap, by partition."""
    for uid, ranges in groupby(held, key=lambda one: one.uid):
        run: list[RangeRow] = []
        for one in ranges:
            if run and run[-1].end != one.row.start:
                yield Group(uid=uid, rows=tuple(run))
                run = []
            run.append(one.row)
        yield Group(uid=uid, rows=tuple(run))


def out_of_shared(held: Iterable[Held], level: int, own_bytes: int, object_bytes: int) -> list[Output]:
    """What the ranges in shared objects of one level become."""
    outputs: list[Output] = []
    rest: list[Group] = []
    for group in consecutive(held):
        if group.size_bytes >= own_bytes:
            outputs += [Output(groups=(part,), level=OWN_LEVEL) for part in _cut(group, object_bytes)]
        else:
            rest.append(group)
    return outputs + list(_packed(rest, level + 1, object_bytes))


def _cut(group: Group, object_bytes: int) -> Iterator[Group]:
    rows: list[RangeRow] = []
    size = 0
    for row in group.rows:
        if rows and size + row.size_bytes > object_bytes:
            yield Group(uid=group.uid, rows=tuple(rows))
            rows, size = [], 0
        rows.append(row)
        size += row.size_bytes
    yield Group(uid=group.uid, rows=tuple(rows))


def _packed(groups: Sequence[Group], level: int, object_bytes: int) -> Iterator[Output]:
    packed: list[Group] = []
    size = 0
    for group in groups:
        if packed and (size + group.size_bytes > object_bytes or len(packed) >= MAX_GROUPS):
            yield Output(groups=tuple(packed), level=level)
            packed, size = [], 0
        packed.append(group)
        size += group.size_bytes
    if packed:
        yield Output(groups=tuple(packed), level=level)


def worth_sharing_again(outputs: Sequence[Output], sources: int) -> bool:
    """Whether a merge leaves fewer objects or fewer pieces; one shared object alone only becomes another."""
    return sources > 1 or any(output.level == OWN_LEVEL for output in outputs)


def of_partitions(held: Iterable[Held], object_bytes: int) -> list[Output]:
    """What small objects of single partitions become."""
    outputs = []
    for run in consecutive(held):
        for group in _cut(run, object_bytes):
            rows = _worth_merging(group.rows)
            if len(rows) > 1:
                outputs.append(Output(groups=(Group(uid=run.uid, rows=rows),), level=OWN_LEVEL))
    return outputs


def _worth_merging(rows: tuple[RangeRow, ...]) -> tuple[RangeRow, ...]:
    """The ranges, without those at the front that are too large for what follows them."""
    while len(rows) > 1 and sum(row.size_bytes for row in rows) < GROWTH * max(row.size_bytes for row in rows):
        rows = rows[1:]
    return rows
