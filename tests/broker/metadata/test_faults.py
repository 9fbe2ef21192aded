"""A store that goes away, answers that are lost, writers that stop: said, bounded, and healed by itself."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.errors import TopicAlreadyExists
from broker.metadata import Metadata, jobs
from broker.metadata.database import MetadataUnavailable
from tests.broker.metadata.faults import MissingDirectory, Wire, said_by, writer
from tests.tries import awaited_in_one_of_three


@pytest.fixture
async def wire(new_store: Any) -> AsyncIterator[Wire]:
    wire = Wire(await new_store("postgresql"))
    await wire.come_back()
    yield wire
    await wire.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MissingDirectory(tmp_path) if request.param == "sqlite" else request.getfixturevalue("wire")


async def opened(url: str) -> Metadata:
    return await Metadata.open(url, clock=SystemClock(), entropy=os.urandom)


async def test_a_store_that_is_away_is_said_and_heals(store: Any) -> None:
    metadata = await opened(store.url)
    await metadata.allocate_producer_ids(1)
    await store.leave()
    begun = time.monotonic()
    answers = await asyncio.gather(*(metadata.allocate_producer_ids(1) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(answer, MetadataUnavailable) and "cannot write" in str(answer) for answer in answers)
    assert time.monotonic() - begun < 30
    await store.come_back()
    assert await metadata.allocate_producer_ids(1) == 1001
    await metadata.create_topic("t", partitions=1)
    assert "t" in (await metadata.refresh()).topics
    await metadata.close()


async def test_a_connection_that_died_between_two_transactions_is_replaced_unnoticed(wire: Wire) -> None:
    metadata = await opened(wire.url)
    await metadata.create_topic("a", partitions=1)
    for name in ("b", "c"):
        wire.cut()
        await metadata.create_topic(name, partitions=1)
    assert set(metadata.image.topics) == {"a", "b", "c"}
    await metadata.close()


async def test_a_commit_whose_answer_was_lost_is_said_to_be_unknown_and_happened_once(wire: Wire) -> None:
    metadata = await opened(wire.url)
    wire.lose_commits = 1
    with pytest.raises(MetadataUnavailable):
        await metadata.create_topic("t", partitions=1)
    assert wire.commits_lost == 1
    with pytest.raises(TopicAlreadyExists):
        await metadata.create_topic("t", partitions=1)
    assert "t" in (await metadata.refresh()).topics
    await metadata.close()


async def test_a_store_that_cannot_be_opened_is_one_line_without_its_password(tmp_path: Path) -> None:
    for url in (
        f"postgresql://u:secret@/db?host={tmp_path}",
        f"postgresql://u@/db?host={tmp_path}&password=secret",
        "postgresql://u:secret@127.0.0.1:1/db",
        "postgresql://u:secret/x@127.0.0.1:1/db",
        f"sqlite://{tmp_path}",
    ):
        with pytest.raises(MetadataUnavailable) as refused:
            await opened(url)
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match=r"mysql://u:\*\*\*@h/db: give sqlite") as wrong:
        await opened("mysql://u:secret@h/db")
    assert "secret" not in str(wrong.value)


HOLD = """
def hold(tx):
    tx.run("UPDATE cluster SET next_producer_id = next_producer_id + 500")
    print("held", flush=True)
    time.sleep(60)
try:
    await store.write(hold)
    print("written", flush=True)
except Exception as error:
    print(f"refused {error}", flush=True)
"""


async def test_a_stopped_writer_does_not_stop_the_others(url: str) -> None:
    metadata = await opened(url)
    stopped = writer(url, HOLD)
    try:
        assert await said_by(stopped) == "held"
        os.kill(stopped.pid, signal.SIGSTOP)
        begun = time.monotonic()
        assert await metadata.allocate_producer_ids(1) == 1000
        assert time.monotonic() - begun < 30
        await metadata.refresh()
        await metadata.close()
    finally:
        stopped.kill()
        stopped.communicate()


DEAF = """
def read_much(tx):
    tx.run("UPDATE cluster SET next_producer_id = next_producer_id + 500")
    print("reading", flush=True)
    tx.all("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")
await store.write(read_much)
"""


async def test_a_stopped_writer_that_left_its_answer_unread_does_not_stop_the_others(new_store: Any) -> None:
    url = await new_store("postgresql")
    metadata = await opened(url)
    stopped = writer(url, DEAF)
    try:
        assert await said_by(stopped) == "reading"
        await asyncio.sleep(0.3)
        os.kill(stopped.pid, signal.SIGSTOP)
        begun = time.monotonic()
        assert await metadata.allocate_producer_ids(1) == 1000
        assert time.monotonic() - begun < 30
        await metadata.close()
    finally:
        stopped.kill()
        stopped.communicate()


BUSY = """
print("open", flush=True)
await asyncio.to_thread(sys.stdin.readline)
end, worst, count = time.monotonic() + 1.5, 0.0, 0
while time.monotonic() < end:
    begun = time.monotonic()
    await store.allocate_producer_ids(1)
    worst, count = max(worst, time.monotonic() - begun), count + 1
print(count, worst, flush=True)
"""


async def test_three_processes_do_not_starve_each_other(url: str) -> None:
    await (await opened(url)).close()

    async def all_at_once() -> None:
        processes = [writer(url, BUSY) for _ in range(3)]
        assert [await said_by(process) for process in processes] == ["open"] * 3
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [(await said_by(process)).split() for process in processes]
        for process in processes:
            process.communicate(timeout=30)
        counts, worst = [int(r[0]) for r in results], [float(r[1]) for r in results]
        assert min(counts) * 5 > max(counts), (counts, worst)
        assert max(worst) < 1.0, (counts, worst)

    await awaited_in_one_of_three(all_at_once)


async def test_a_full_queue_refuses_at_once_with_a_retriable_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "QUEUE_JOBS", 10)
    metadata = await opened(url)
    begun, gate = threading.Event(), threading.Event()
    held = asyncio.ensure_future(metadata.write(lambda tx: (begun.set(), gate.wait(60))[1]))
    assert await asyncio.to_thread(begun.wait, 30)
    asyncio.get_running_loop().call_later(0.3, gate.set)
    answers = await asyncio.gather(*(metadata.allocate_producer_ids(1) for _ in range(15)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, MetadataUnavailable)]
    assert len(refused) == 5
    assert "10 metadata writes are waiting" in str(refused[0])
    await held
    await metadata.close()


async def test_others_are_nudged_as_soon_as_something_changed(new_store: Any) -> None:
    url = await new_store("postgresql")
    watching, acting = await opened(url), await opened(url)
    async with asyncio.timeout(30):
        await watching.nudged(60)
        await acting.create_topic("t", partitions=1)
        await watching.nudged(60)
    assert "t" in (await watching.refresh()).topics
    await watching.close()
    await acting.close()


async def test_a_missing_driver_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("broker.metadata.postgres", "broker.metadata.pgsession"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MetadataUnavailable, match=r"pip install 'streampilot\[postgres\]'"):
        await opened("postgresql://u@h/db")
