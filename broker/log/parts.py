"""What one round of uploads takes from the logs, and which of it shares an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from broker.log.log import Log
from broker.metadata.rows import Extent
from broker.objects.layout import Piece
from broker.turns import EVERY, Turns

LARGEST_OBJECT_BYTES = 32 * 1024 * 1024
"""More of one partition goes into several objects: an object that goes to a bucket is copied whole."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One log's share of an upload."""

    log: Log
    pieces: Sequence[Piece]
    extent: Extent


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A WAL mark, and how far each log was durable at that instant: uid to (epoch, offset)."""

    mark: int
    ends: Mapping[int, tuple[int, int]]


async def gather(logs: Sequence[Log], turns: Turns, until: Checkpoint | None = None) -> list[Part]:
    """What each log has ready, now or at a checkpoint; more than an object may hold comes as several parts, in order.
    The caller keeps other uploads away from these logs.
    """
    parts: list[Part] = []
    for number, log in enumerate(logs, 1):
        if number % EVERY == 0:
            await turns.rest()
        epoch, end = (log.epoch, None) if until is None else until.ends.get(log.uid, (-1, None))
        pieces, extent = log.pending(end) if epoch == log.epoch else ([], None)
        if extent is None:
            continue
        if extent.size_bytes <= LARGEST_OBJECT_BYTES:
            parts.append(Part(log=log, pieces=pieces, extent=extent))
            continue
        parts += [Part(log=log, pieces=some, extent=log.extent(some)) for some in _runs(pieces)]
    return parts


def _runs(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    first = size = 0
    for number, piece in enumerate(pieces):
        if number > first and size + len(piece.data) > LARGEST_OBJECT_BYTES:
            yield pieces[first:number]
            first, size = number, 0
        size += len(piece.data)
    yield pieces[first:]


def grouped(parts: Sequence[Part], own_object_bytes: int) -> list[list[Part]]:
    """Which parts share an object: large ones have one each, small ones fill one after the other."""
    groups = [[part] for part in parts if part.extent.size_bytes > own_object_bytes]
    shared: list[Part] = []
    size = 0
    for part in parts:
        if part.extent.size_bytes > own_object_bytes:
            continue
        if shared and size + part.extent.size_bytes > LARGEST_OBJECT_BYTES:
            groups.append(shared)
            shared, size = [], 0
        shared.append(part)
        size += part.extent.size_bytes
    return [*groups, shared] if shared else groups
