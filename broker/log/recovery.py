"""Brings a dead broker's acknowledged records into objects and its partitions back to life (law 5).

Only who holds the WAL's fence reads it, and one transaction, conditional on the recovery row, commits the records,
closes every range and names the new owners: before it nothing has happened, after it everything has. Entries below the
committed end were uploaded already; entries of another leader epoch belong to a range that was closed since, so they
are void.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from broker.clock import Clock
from broker.errors import KafkaStorageError
from broker.log.producers import Producers
from broker.log.reader import object_key
from broker.metadata import commits, members
from broker.metadata.database import Tx
from broker.metadata.image import Recovery
from broker.metadata.rows import Extent, OpenRange
from broker.metadata.store import Metadata
from broker.objects.layout import Piece, build
from broker.objects.store import ObjectStore
from broker.records.batch import batches
from broker.wal.base import Entry

TRIES = 5


class RangesGrew(KafkaStorageError):
    """The dead broker committed something itself since its ranges were read; nothing happened."""


async def replay(
    metadata: Metadata,
    store: ObjectStore,
    clock: Clock,
    recovery: Recovery,
    entries: Iterable[Entry],
    preferred: int | None,
) -> list[int]:
    """Commits what was not, closes the ranges, finds owners (`preferred` for all, when given); the uids concerned.

    Behind a fence that is not a lock a zombie may still commit records it had acknowledged, just now: then the ranges
    begin elsewhere, and the recovery starts again from there, lest it close a range before the rest of its records.
    """
    held = list(entries)
    for _ in range(TRIES - 1):
        with suppress(RangesGrew):
            return await _replay(metadata, store, clock, recovery, held, preferred)
    return await _replay(metadata, store, clock, recovery, held, preferred)


async def _replay(
    metadata: Metadata,
    store: ObjectStore,
    clock: Clock,
    recovery: Recovery,
    entries: Sequence[Entry],
    preferred: int | None,
) -> list[int]:
    open_ranges = await metadata.read(lambda tx: members.open_ranges(tx, recovery))
    in_thread = asyncio.get_running_loop().run_in_executor
    extents, parts = await in_thread(None, salvage, open_ranges, entries)
    if not extents:
        return await metadata.change(lambda tx: commits.finish_recovery(tx, recovery, preferred))
    now_ms = clock.wall_ms()
    object_id = await metadata.write(lambda tx: commits.prepare(tx, recovery.recoverer, now_ms))
    data = await in_thread(None, build, parts)
    await store.put(object_key(object_id), data)

    def work(tx: Tx) -> list[int]:
        members.check_recovery(tx, recovery)
        wal = (recovery.broker, recovery.broker_epoch)
        if refused := commits.commit(tx, object_id, data.size_bytes, extents, wal, now_ms):
            raise RangesGrew(f"{len(refused)} ranges of broker {recovery.broker} grew while they were recovered: retry")
        return commits.finish_recovery(tx, recovery, preferred)

    return await metadata.change(work)


def salvage(
    open_ranges: Sequence[OpenRange], entries: Iterable[Entry]
) -> tuple[list[Extent], list[tuple[int, list[Piece]]]]:
    """The records past each range's committed end, contiguous, with the producer state they lead to."""
    wanted = {(one.uid, one.epoch): one for one in open_ranges}
    pieces: dict[int, list[Piece]] = {}
    ends = {one.uid: one.end for one in open_ranges}
    producers = {one.uid: Producers(one.producers) for one in open_ranges}
    for entry in entries:
        if (entry.uid, entry.epoch) not in wanted or entry.base_offset != ends[entry.uid]:
            continue
        newest = -1
        for batch in batches(entry.records):
            newest = max(newest, batch.max_timestamp)
            producers[entry.uid].apply(entry.records, batch, batch.base_offset)
        piece = Piece(
            base_offset=entry.base_offset, end_offset=entry.end_offset, max_timestamp_ms=newest, data=entry.records
        )
        pieces.setdefault(entry.uid, []).append(piece)
        ends[entry.uid] = entry.end_offset
    extents = [
        Extent(
            uid=one.uid,
            epoch=one.epoch,
            start=one.end,
            end=ends[one.uid],
            size_bytes=sum(len(piece.data) for piece in pieces[one.uid]),
            max_timestamp_ms=max(piece.max_timestamp_ms for piece in pieces[one.uid]),
            producers=producers[one.uid].snapshot(ends[one.uid]),
        )
        for one in open_ranges
        if one.uid in pieces
    ]
    return extents, [(extent.uid, pieces[extent.uid]) for extent in extents]
