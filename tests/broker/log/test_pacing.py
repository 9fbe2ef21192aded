"""Back pressure: producers are slowed and held before anything is refused, and room comes back in small steps."""

import asyncio
from typing import Any

import pytest

from broker.errors import NotEnoughReplicas
from broker.log import pacing as pacing_module
from broker.log.config import MIB
from broker.objects.layout import Blob


async def one_log(cluster: Any, **config: Any) -> Any:
    await cluster.start(0, **{"wal_bytes": 16 * MIB, "pending_limit_bytes": 8 * MIB, **config})
    await cluster.metadata(0).create_topic("t", partitions=1)
    return await cluster.log(0)


class Denying:
    """A backend that denies every put while `on`: the fault that needs no waiting to be noticed."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.on = True
        self.denied = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def put(self, key: str, data: Blob, *, create: bool) -> None:
        if self.on:
            self.denied += 1
            raise PermissionError("the token has expired")
        await self._backend.put(key, data, create=create)


def denying(logs: Any) -> Denying:
    logs._store._backend = Denying(logs._store._backend)
    return logs._store._backend


async def until(what: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_producers_are_asked_to_wait_then_held_then_refused_and_let_go(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    store = denying(logs)
    told: list[bool] = []
    logs.stats.on_hold = told.append
    data = make_batch(1, size=250_000)
    while logs._pacing.pressure < 0.5:
        await log.append(data, acks=1)
    assert logs.throttle_ms() < 100
    while logs._pacing.pressure < 0.85:
        await log.append(data, acks=1)
    assert logs.throttle_ms() > 500
    await until(lambda: told == [True])
    with pytest.raises(NotEnoughReplicas):
        for _ in range(100):
            log.append(data, acks=1)
    end = log.log_end
    await log.wait_for(end - 1)
    await until(lambda: store.denied >= 1)
    store.on = False
    await until(lambda: told == [True, False])
    await until(lambda: logs.throttle_ms() == 0)
    assert (await log.append(data, acks=1)).base_offset == end
    assert store.denied >= 1, "the store was asked while it was away"


async def test_a_round_after_an_absence_goes_to_a_near_checkpoint_and_frees_its_room(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(pacing_module, "CHECKPOINT_BYTES", MIB // 2)
    monkeypatch.setattr(pacing_module, "ROUND_BYTES", 2 * MIB)
    monkeypatch.setattr(pacing_module, "WATCH_S", 0.001)
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    store = denying(logs)
    for _ in range(24):
        await log.append(make_batch(1, size=250_000), acks=1)
        await asyncio.sleep(0.003)
    used: list[int] = []
    trim = logs._wal.trim

    async def watched(mark: int) -> None:
        await trim(mark)
        used.append(logs._wal.used_bytes)

    monkeypatch.setattr(logs._wal, "trim", watched)
    store.on = False
    await until(lambda: logs._pacing.pressure < 0.5)
    assert len(used) >= 1
    assert used[0] > 3 * MIB, "6 MiB in rounds of 2"


async def test_what_a_checkpoint_left_in_the_wal_is_there_after_a_crash(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    await log.append(make_batch(2), acks=1)
    logs._pacing._noted.clear()
    monkeypatch.setattr(pacing_module, "CHECKPOINT_BYTES", 1)
    logs._pacing.look()
    checkpoint = logs._pacing._noted[-1].checkpoint
    await log.append(make_batch(3), acks=1)
    await logs._uploader.upload(list(logs), checkpoint)
    assert log.committed_end == 2
    await cluster.crash(0)
    await cluster.start(0)
    assert (await cluster.log(0)).log_end == 5


async def test_the_wal_keeps_what_the_first_step_of_a_handover_has_not_committed_yet(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    await log.append(make_batch(1, size=600_000), acks=1)
    going = asyncio.Event()

    async def stuck(key: str, data: Blob, *, create: bool) -> None:
        going.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(logs._store._backend, "put", stuck)
    leaving = asyncio.ensure_future(logs._uploader.hand_over([log]))
    await going.wait()
    upload = asyncio.ensure_future(logs._uploader.upload(list(logs)))
    await asyncio.sleep(0.1)
    assert logs._wal.used_bytes > 600_000
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await upload
    assert logs._wal.used_bytes > 600_000, "the handover failed, so only the WAL has the record"


async def test_a_store_that_denies_is_said_and_never_ends_the_broker(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster, upload_interval_s=0.05)
    logs = cluster.brokers[0][1]
    store = denying(logs)
    await log.append(make_batch(1), acks=1)
    await until(lambda: store.denied >= 3)
    assert not logs.failed.done()
    assert any("upload failed" in line and "permission denied" in line for line in cluster.said)
    store.on = False
    await until(lambda: logs.pending_upload_bytes == 0)


async def test_an_upload_that_only_time_asks_for_lets_a_recovery_go_first(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(pacing_module, "RECOVERY_FIRST_S", 3600.0)
    log = await one_log(cluster, upload_interval_s=0.05)
    logs = cluster.brokers[0][1]
    logs.stats.recoveries_running = 1
    await log.append(make_batch(), acks=1)
    uploads = logs.stats.uploads
    await asyncio.sleep(0.4)
    assert (logs.stats.uploads, log.pending_bytes > 0) == (uploads, True)
    monkeypatch.setattr(pacing_module, "RECOVERY_FIRST_S", 0.0)
    await until(lambda: log.pending_bytes == 0)


async def test_an_upload_that_makes_room_does_not_wait_for_a_recovery(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    logs = cluster.brokers[0][1]
    logs.stats.recoveries_running = 1
    while logs._pacing.pressure <= pacing_module.THROTTLE_FROM:
        await log.append(make_batch(1, size=250_000), acks=1)
    await until(lambda: logs._pacing.pressure <= pacing_module.THROTTLE_FROM)
    assert logs.stats.recoveries_running == 1
