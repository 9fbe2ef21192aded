"""What becomes of records when an upload's outcome is not heard: the WAL keeps them, or the log learns that they are
committed.
"""

import asyncio
from typing import Any

import pytest

from broker.errors import KafkaStorageError
from broker.metadata.database import MetadataUnavailable


async def one_log(cluster: Any) -> Any:
    await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    return await cluster.log(0)


def unheard(logs: Any) -> tuple[asyncio.Event, asyncio.Event]:
    """Lets the next commit happen, and its answer wait: (it happened, let the answer go)."""
    happened, go = asyncio.Event(), asyncio.Event()
    write = logs._metadata.write

    async def slow(work: Any) -> Any:
        result = await write(work)
        if getattr(work, "__qualname__", "").startswith("Uploader._commit"):
            happened.set()
            await go.wait()
        return result

    logs._metadata.write = slow
    return happened, go


async def test_a_stop_during_a_commit_loses_nothing_that_came_after_it(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    await log.append(make_batch(3), acks=-1)
    happened, go = unheard(logs)
    upload = asyncio.create_task(logs._uploader.upload(list(logs)))
    await happened.wait()
    await log.append(make_batch(2), acks=-1)
    upload.cancel()
    await asyncio.gather(upload, return_exceptions=True)
    asyncio.get_running_loop().call_later(0.1, go.set)
    await cluster.stop(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert log.log_end == 5
    assert len((await log.read(3, 1000, min_one=True)).data) == 1


async def test_a_commit_that_was_given_up_and_happened_all_the_same_voids_nothing_later(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    monkeypatch.setattr("broker.log.uploader.COMMIT_TRIES", 0)
    await log.append(make_batch(3), acks=-1)
    write = logs._metadata.write

    async def unanswered(work: Any) -> Any:
        result = await write(work)
        if getattr(work, "__qualname__", "").startswith("Uploader._commit"):
            raise MetadataUnavailable("the connection broke during COMMIT")
        return result

    logs._metadata.write = unanswered
    with pytest.raises(KafkaStorageError):
        await logs._uploader.upload(list(logs))
    logs._metadata.write = write
    await log.append(make_batch(2), acks=-1)
    await logs._uploader.upload(list(logs))
    assert log.committed_end == 3, "it learned of the first, and the second was refused"
    await cluster.crash(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert log.log_end == 5
    assert len((await log.read(3, 1000, min_one=True)).data) == 1


async def test_after_it_learned_of_a_commit_everything_goes_on(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    await log.append(make_batch(3), acks=-1)
    await logs._uploader.upload(list(logs))
    log.committed_end = 0
    log._tail._uploaded_to = 0
    log._count(len(make_batch(3)))
    await log.append(make_batch(2), acks=-1)
    await logs._uploader.upload(list(logs))
    await logs._uploader.upload(list(logs))
    assert log.committed_end == 5
    assert logs.pending_upload_bytes == 0
    assert logs._wal.used_bytes == 0


@pytest.mark.parametrize("wal", ["disk", "objects"])
async def test_a_broker_that_is_over_trims_nothing_of_what_its_closed_logs_held(
    cluster: Any, make_batch: Any, wal: str
) -> None:
    cluster.wal = wal
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    await log.append(make_batch(3), acks=-1)
    logs._fail(Exception("declared dead"))
    with pytest.raises(KafkaStorageError):
        await logs._uploader.upload(list(logs))
    await cluster.crash(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert log.log_end == 3
