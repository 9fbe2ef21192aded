"""`python -m broker.restore`, and `streampilot restore`: a cluster's metadata from the newest snapshot in its bucket.

All brokers must be stopped; the metadata store must be empty. stdout says what came back and what may be missing (the
loss window), as JSON with `--json`; exit 0 when the brokers may be started.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random  # noqa: TID251
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from broker.clock import Clock, SystemClock
from broker.errors import KafkaError
from broker.log.snapshots import PREFIX
from broker.log.strangers import object_id_of
from broker.metadata import revival, snapshot
from broker.metadata.database import Tx
from broker.metadata.store import Metadata
from broker.metadata.urls import shown
from broker.objects import ObjectStore, open_store
from broker.objects.store import BadStore


class CannotRestore(Exception):
    """Why not, and the next step, in one line."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came back, and what may be missing."""

    cluster: str
    snapshot: str
    taken_at_ms: int
    loss_window_s: float
    """What was uploaded, created or committed in these seconds before the restore is not in the snapshot."""
    topics: int
    partitions: int
    objects: int
    objects_kept: int
    """In the bucket, made or committed after the snapshot: no partition shows their records, nothing deletes them."""
    damaged_snapshots: int
    """Newer ones that could not be used."""

    def text(self) -> str:
        """For people."""
        lines = [
            f"cluster {self.cluster}: {self.topics} topics, {self.partitions} partitions, {self.objects} objects,"
            f" from {self.snapshot}",
            f"loss window: {self.loss_window_s:.0f} s. Not in the snapshot: topics, configs, groups and offsets that"
            " changed in that time, and records that were uploaded in it",
            "kept: records that brokers' WALs still hold come back when those brokers start",
        ]
        if self.objects_kept:
            lines.append(f"{self.objects_kept} objects are newer than the snapshot: kept, and shown by no partition")
        if self.damaged_snapshots:
            lines.append(f"{self.damaged_snapshots} newer snapshots were damaged and not used")
        return "\n".join(lines)


async def restore(store: ObjectStore, metadata: Metadata, clock: Clock, where: str, version: int | None) -> Restored:
    """Loads the snapshot into the empty store in one transaction. CannotRestore, and nothing is changed."""
    await metadata.read(lambda tx: revival.refuse_unless_empty(tx, where))
    key, data, header, damaged = await _newest(store, version)
    listed = [(object_id_of(path), size) for path, size in await store.list("objects/")]
    now_ms = clock.wall_ms()

    def work(tx: Tx) -> tuple[int, int, int, int]:
        snapshot.load(tx, data)
        kept = revival.keep(tx, listed, header.newest_object, now_ms)
        revival.jump_ahead(tx, now_ms)
        counts = [tx.one(f"SELECT count(*) FROM {table}")[0] for table in ("topics", "partitions")]
        (objects,) = tx.one("SELECT count(*) FROM objects WHERE state = 'committed'")
        return counts[0], counts[1], objects, kept

    topics, partitions, objects, kept = await metadata.write(work)
    return Restored(
        cluster=header.cluster,
        snapshot=key,
        taken_at_ms=header.at_ms,
        loss_window_s=max(now_ms - header.at_ms, 0) / 1000,
        topics=topics,
        partitions=partitions,
        objects=objects,
        objects_kept=kept,
        damaged_snapshots=damaged,
    )


async def _newest(store: ObjectStore, version: int | None) -> tuple[str, bytes, snapshot.Header, int]:
    """Key, bytes and header of the newest whole one (or of that version), and how many newer ones are damaged."""
    keys = sorted((key for key, _ in await store.list(PREFIX)), reverse=True)
    if version is not None:
        keys = [key for key in keys if f"/{version:020d}." in f"/{key.rpartition('/')[2]}"]
    for damaged, key in enumerate(keys):
        data = await store.get(key)
        try:
            header = snapshot.header_of(data)
        except snapshot.DamagedSnapshot:
            continue
        return key, data, header, damaged
    wanted = f"snapshot of version {version}" if version is not None else "whole snapshot"
    raise CannotRestore(f"{store.url} holds no {wanted} under {PREFIX} ({len(keys)} looked at): correct --objects")


async def _run(objects: str, url: str, version: int | None) -> Restored:
    clock = SystemClock()
    store = open_store(objects, clock=clock, rng=random.Random())
    metadata = await Metadata.open(url, clock=clock, entropy=os.urandom)
    try:
        return await restore(store, metadata, clock, shown(url), version)
    finally:
        await metadata.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="streampilot restore",
        description="Bring a cluster's metadata back from the snapshots in its bucket. Stop all brokers first.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--objects", required=True, help="the cluster's object store: file:///dir or s3://bucket/prefix"
    )
    parser.add_argument("--metadata", required=True, help="an empty store: sqlite:///file or postgresql://...")
    parser.add_argument("--version", type=int, help="the metadata version to go back to (default: the newest)")
    parser.add_argument("--json", action="store_true", help="print what came back as JSON")
    given = parser.parse_args(arguments)
    try:
        restored = asyncio.run(_run(given.objects, given.metadata, given.version))
    except (CannotRestore, KafkaError, BadStore, OSError, ValueError) as error:
        print(f"streampilot restore: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(restored)) if given.json else restored.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
