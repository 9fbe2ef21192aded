"""Objects against the metadata: what lies there for nobody, and what is promised and not there."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from broker.clock import SystemClock
from broker.log.reader import object_key
from broker.metadata import Metadata
from broker.metadata.database import Tx
from broker.objects import open_store
from broker.wal.slot_layout import FENCE_BYTES, PREFIX, Place
from tests.chaos.services import environment_of


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Keys, sorted."""

    orphans: tuple[str, ...]
    """In the store, and no committed object that a range points at; or a WAL slot of a broker epoch that is over."""
    missing: tuple[str, ...]
    """Committed, or pointed at by a range, and not in the store with the size it should have."""
    live: int


def audit(metadata_url: str, objects_url: str, environment: Mapping[str, str]) -> Audit:
    """What is there now; orphans may just not be collected yet."""
    with environment_of(environment):
        return asyncio.run(_audit(metadata_url, objects_url))


def keys(objects_url: str, environment: Mapping[str, str]) -> set[str]:
    """Of all objects that are there now."""
    with environment_of(environment):
        store = open_store(objects_url, clock=SystemClock(), rng=random.Random())
        return {key for key, _ in asyncio.run(store.list("objects/"))}


async def _audit(metadata_url: str, objects_url: str) -> Audit:
    clock = SystemClock()
    store = open_store(objects_url, clock=clock, rng=random.Random())
    metadata = await Metadata.open(metadata_url, clock=clock, entropy=os.urandom)
    try:
        wanted, ranged = await metadata.read(_committed)
        lives = await metadata.read(lambda tx: {tuple(row) for row in tx.all("SELECT id, epoch FROM brokers")})
    finally:
        await metadata.close()
    # Listed after the metadata was read: what was committed by then must be there; what came since is no orphan yet.
    there = dict(await store.list("objects/"))
    referenced = {object_key(number): size for number, size in wanted.items() if number in ranged}
    missing = [key for key, size in referenced.items() if there.get(key) != size]
    missing += [object_key(number) for number in ranged - set(wanted)]
    slots = [key for key, size in await store.list(PREFIX) if _is_left_over(key, size, lives)]
    orphans = sorted([*(set(there) - set(referenced)), *slots])
    return Audit(orphans=tuple(orphans), missing=tuple(sorted(missing)), live=len(referenced))


def _is_left_over(key: str, size: int, lives: Collection[tuple[int, int]]) -> bool:
    """A slot of a broker epoch that is over; fences stay for good (slot_sweep.py)."""
    place = Place.of(key)
    return place is None or ((place.broker, place.epoch) not in lives and size != FENCE_BYTES)


def _committed(tx: Tx) -> tuple[dict[int, int], set[int]]:
    rows = tx.all("SELECT id, size_bytes FROM objects WHERE state = 'committed'")
    return {row[0]: row[1] for row in rows}, {row[0] for row in tx.all("SELECT DISTINCT object FROM ranges")}
