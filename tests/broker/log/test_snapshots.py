"""The controller keeps copies of the metadata in the bucket; a restored cluster keeps what its copy does not know."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.clock import SystemClock
from broker.log.reader import object_key
from broker.log.snapshots import KEPT
from broker.metadata import Metadata
from broker.restore import restore


def copies(path: Path) -> list[str]:
    return sorted(os.listdir(path / "objects" / "metadata")) if (path / "objects" / "metadata").exists() else []


async def until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not so after 30 s")


async def test_a_new_controller_makes_one_at_once_and_a_dozen_are_kept(cluster: Any) -> None:
    logs = await cluster.start(0)
    await until(lambda: logs.is_controller)
    await until(lambda: copies(cluster.path))
    for number in range(KEPT + 3):
        await cluster.metadata().create_topic(f"t{number}", partitions=1)
        await logs._snapshots.take()
    assert len(copies(cluster.path)) == KEPT
    assert copies(cluster.path)[-1] == f"{cluster.metadata().image.version:020d}.snapshot"


async def test_a_restore_keeps_objects_that_are_newer_than_its_copy(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0, prepared_ttl_s=-1.0, marked_ttl_s=-1.0)
    await until(lambda: logs.is_controller)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    await log.append(make_batch(3), acks=-1)
    await logs._uploader.upload(list(logs))
    await logs._snapshots.take()
    await log.append(make_batch(2), acks=-1)
    await logs._uploader.upload(list(logs))
    lost = object_key(2)
    store = logs._store
    await cluster.crash(0)
    for path in cluster.path.glob("metadata.db*"):
        path.unlink()
    metadata = await Metadata.open(f"sqlite://{cluster.path}/metadata.db", clock=SystemClock(), entropy=os.urandom)
    restored = await restore(store, metadata, SystemClock(), "here", None)
    await metadata.close()
    assert (restored.topics, restored.objects, restored.objects_kept) == (1, 1, 1)
    logs = await cluster.start(0, prepared_ttl_s=-1.0, marked_ttl_s=-1.0)
    await until(lambda: logs.is_controller)
    log = await cluster.log(0)
    assert (log.log_end, log.epoch) == (3, 1001)
    await logs._upkeep.housekeeping.sweep()
    assert not any("older copy" in line for line in cluster.said)
    assert await store.head(lost) > 0
    await log.append(make_batch(1), acks=-1)
    await logs._uploader.upload(list(logs))
    assert len((await log.read(3, 1000, min_one=True)).data) == 1
