"""Closed hours in a bucket (a real S3 API on loopback): there before they leave here, back when they are asked for."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from agent.model.clock import HandClock, SystemClock
from agent.promql.engine import Engine
from agent.promql.query import Settings
from agent.promql.stored import StoredSource
from agent.store.bucket import Bucket
from agent.store.errors import StoreError
from agent.store.samples import SampleStore
from agent.store.seen import SeenSeries
from agent.store.shelf import Keep
from tests.agent.store.test_samples import START, batch, count
from tests.chaos.services import CREDENTIALS
from tests.faults.wire import Wire

HOUR = timedelta(hours=1)
HOURS = 3


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def wire(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    wire = Wire(*moto)
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{wire.port}"}.items():
        monkeypatch.setenv(name, value)
    yield wire
    wire.close()


class There:
    """The bucket as someone else sees it."""

    def __init__(self, moto: tuple[str, int], name: str) -> None:
        self.url = f"s3://{name}/agent"
        self._name = name
        self._s3 = boto3.client("s3", endpoint_url=f"http://{moto[0]}:{moto[1]}", region_name="us-east-1")
        self._s3.create_bucket(Bucket=name)

    def keys(self, part: str = "") -> list[str]:
        found = self._s3.list_objects_v2(Bucket=self._name, Prefix="agent/").get("Contents", [])
        return [one["Key"].removeprefix("agent/") for one in found if part in one["Key"]]

    def get(self, key: str) -> bytes:
        return self._s3.get_object(Bucket=self._name, Key=f"agent/{key}")["Body"].read()

    def put(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self._name, Key=f"agent/{key}", Body=data)

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket=self._name, Key=f"agent/{key}")


@pytest.fixture
def there(moto: tuple[str, int], wire: Wire, request: pytest.FixtureRequest) -> There:
    return There(moto, re.sub("[^a-z0-9]+", "-", request.node.name)[:60].strip("-"))


def later(seconds: float) -> HandClock:
    """A clock so far ahead of the bucket's."""
    return HandClock(datetime.now(UTC) + timedelta(seconds=seconds))


def opened(directory: Path, there: There, most_bytes: int = 10 << 30, **keep: int) -> SampleStore:
    return SampleStore(directory, clock=HandClock(START), keep=Keep(bytes=most_bytes, **keep), bucket=Bucket(there.url))


def filled(store: SampleStore, hours: int = HOURS, since: datetime = START) -> None:
    """So many closed hours, and one that runs."""
    for hour in range(hours + 1):
        store.write(batch(store, since + hour * HOUR, value=float(hour)))
        store.write(batch(store, since + hour * HOUR + timedelta(minutes=30), value=float(hour)))
        store.maintain(since + hour * HOUR + timedelta(minutes=31))


def files(directory: Path) -> set[str]:
    return {file.name for file in directory.rglob("hours/*_20*.parquet")}


def leave(store: SampleStore) -> None:
    """Everything that may leave the directory."""
    assert store.shelf.mirror is not None
    store.shelf.mirror.evict(1 << 60)


def test_hours_leave_only_for_the_bucket_and_promql_reads_them_there(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path, there)
    filled(store)
    engine = Engine(source=StoredSource(store), clock=SystemClock(), settings=Settings())
    end_ms = int((START + HOURS * HOUR).timestamp() * 1000)

    def answers() -> str:
        asked = ("sum(count_over_time(m[4h]))", "sum by (n) (increase(m[3h]))", 'max_over_time(m{n="1"}[2h])')
        ranges = [engine.range("sum(rate(m[30m]))", end_ms - 3 * 3_600_000, end_ms, 300_000)]
        return json.dumps([*(engine.instant(query, end_ms) for query in asked), *ranges])

    here = answers()
    assert len(there.keys("hours/samples_")) == len(there.keys("rollups/")) == HOURS
    leave(store)
    assert not files(tmp_path)
    assert answers() == here
    assert "samples_2026112216.parquet" in files(tmp_path)
    leave(store)
    assert SeenSeries(store).during(START, START).sum() == 3
    assert count(store, "events", START, START + HOURS * HOUR) == 2 * (HOURS + 1)
    store.close()


def test_the_disk_keeps_within_its_bound_and_forgets_nothing(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path, there)
    filled(store)
    store.close()
    tight = opened(tmp_path, there, most_bytes=1)
    tight.maintain(START + HOURS * HOUR + timedelta(minutes=40))
    assert not files(tmp_path)
    with pytest.raises(StoreError, match="ask for a shorter time, or raise max_disk"):
        count(tight, "samples", START, START + HOURS * HOUR)
    assert not any("forgotten" in line for line in tight.said)
    tight.close()
    again = opened(tmp_path, there)
    assert count(again, "samples", START, START + HOURS * HOUR) == 6 * (HOURS + 1)
    again.close()


def test_a_bucket_that_is_away_costs_no_sample_and_is_said(tmp_path: Path, there: There, wire: Wire) -> None:
    store = opened(tmp_path, there)
    filled(store, 1)
    leave(store)
    wire.refuse()
    filled(store, 1, START + 2 * HOUR)
    assert any("closed hours stay here until it answers" in line for line in store.said)
    assert "samples_2026112218.parquet" in files(tmp_path)
    assert count(store, "samples", START + 2 * HOUR, START + 3 * HOUR) == 12
    with pytest.raises(StoreError, match="ask for a time that is still here"):
        count(store, "samples", START, START)
    store.close()
    tight = opened(tmp_path, there, most_bytes=1)
    tight.maintain(START + 3 * HOUR + timedelta(minutes=49))
    assert any(line.startswith("forgotten, to keep within the bounds: 2026112217") for line in tight.said)
    assert "samples_2026112218.parquet" in files(tmp_path)
    tight.close()
    store = opened(tmp_path, there)
    store.maintain(START + 3 * HOUR + timedelta(minutes=49))
    wire.mend()
    store.maintain(START + 3 * HOUR + timedelta(minutes=50))
    assert any("answers again" in line for line in store.said)
    assert count(store, "samples", START, START + 3 * HOUR) == 18
    store.close()


def test_rows_that_come_late_are_merged_with_what_is_in_the_bucket(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path, there)
    filled(store)
    leave(store)
    store.write(batch(store, START + timedelta(minutes=45)))
    store.maintain(START + HOURS * HOUR + timedelta(minutes=50))
    leave(store)
    assert count(store, "samples", START, START + timedelta(minutes=59)) == 9
    assert count(store, "samples", START, START + HOURS * HOUR) == 6 * (HOURS + 1) + 3
    store.close()


def test_a_directory_that_was_lost_is_taken_up_again_from_the_bucket(tmp_path: Path, there: There, wire: Wire) -> None:
    store = opened(tmp_path / "a", there)
    filled(store)
    store.close()
    shutil.rmtree(tmp_path / "a")
    wire.refuse()
    with pytest.raises(StoreError, match="must answer at the first start"):
        opened(tmp_path / "a", there)
    wire.mend()
    again = opened(tmp_path / "a", there)
    assert again.series_id("c", "t", "m", (("n", "2"),)) == 2
    assert count(again, "samples", START, START + HOURS * HOUR) == 6 * HOURS
    again.close()


def test_a_list_that_is_lost_or_a_file_that_someone_deleted_is_no_loss_of_the_rest(
    tmp_path: Path, there: There
) -> None:
    store = opened(tmp_path, there)
    filled(store)
    leave(store)
    store.close()
    (tmp_path / "bucket.json").write_text("{ torn")
    there.delete("hours/samples_2026112216.parquet")
    again = opened(tmp_path, there)
    again.maintain(START + HOURS * HOUR + timedelta(minutes=40))
    there.delete("hours/samples_2026112217.parquet")
    assert count(again, "samples", START, START + HOURS * HOUR) == 6 * (HOURS - 1)
    again.maintain(START + HOURS * HOUR + timedelta(minutes=41))
    assert any("not by this agent: hours/samples_2026112217.parquet" in line for line in again.said)
    again.close()


def flipped(data: bytes) -> bytes:
    return bytes([*data[:60], data[60] ^ 4, *data[61:]])


@pytest.mark.parametrize("spoil", [flipped, lambda data: data[:-9], lambda data: b""], ids=["flip", "cut", "empty"])
def test_a_damaged_object_is_kept_and_costs_its_own_rows(tmp_path: Path, there: There, spoil) -> None:
    store = opened(tmp_path, there)
    filled(store)
    leave(store)
    key = "hours/samples_2026112217.parquet"
    there.put(key, damaged := spoil(there.get(key)))
    until = START + HOURS * HOUR
    assert count(store, "samples", START, until) == 6 * HOURS
    assert [loss.key for loss in store.lost(["samples"], START, until)] == [key]
    store.write(batch(store, START + HOUR + timedelta(minutes=45)))
    store.maintain(START + HOURS * HOUR + timedelta(minutes=50))
    assert there.get(there.keys("corrupt/")[0]) == damaged
    leave(store)
    assert count(store, "samples", START, until) == 6 * HOURS + 3
    store.close()
    again = opened(tmp_path, there)
    assert len(again.lost(["samples"], START, until)) == 1
    again.close()


def test_a_file_that_is_damaged_here_comes_back_from_the_bucket(tmp_path: Path, there: There, wire: Wire) -> None:
    store = opened(tmp_path, there)
    filled(store)
    file = tmp_path / "hours" / "samples_2026112217.parquet"
    file.write_bytes(flipped(file.read_bytes()))
    assert count(store, "samples", START, START + HOURS * HOUR) == 6 * (HOURS + 1)
    assert any("came back whole from" in line for line in store.said)
    assert store.lost(["samples"], START, START + HOURS * HOUR) == []
    assert list(file.parent.glob(f"{file.name}.corrupt-*"))
    wire.refuse()
    leave(store)
    with pytest.raises(StoreError, match="ask for a time that is still here"):
        count(store, "samples", START, START)
    assert store.lost(["samples"], START, START + HOURS * HOUR) == []
    store.close()


def test_a_prefix_is_one_agents_and_another_is_refused_with_its_name(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path / "a", there)
    filled(store)
    with pytest.raises(
        StoreError, match=rf"is used by the agent on .*, pid {os.getpid()}, since 2026-11-22T16.*--take-over"
    ):
        opened(tmp_path / "b", there)
    assert not (tmp_path / "b" / "samples.duckdb").exists()
    store.close()
    again = opened(tmp_path / "b", there)
    assert again.series_id("c", "t", "m", (("n", "2"),)) == 2
    again.close()
    with pytest.raises(StoreError, match=r"holds other numbers for series than this directory.*empty --dir"):
        opened(tmp_path / "a", there)


def test_an_owner_that_was_killed_comes_back_at_once_and_others_after_its_lease(tmp_path: Path, there: There) -> None:
    program = (
        "import sys, pathlib, os, signal\n"
        "from agent.store.bucket import Bucket\n"
        "from tests.agent.store.test_bucket import START, HandClock, SampleStore\n"
        "SampleStore(pathlib.Path(sys.argv[1]), clock=HandClock(START), bucket=Bucket(sys.argv[2]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a"), there.url], check=False, timeout=120)
    with pytest.raises(StoreError, match=r"if it is dead, wait \d+ s or pass --take-over"):
        SampleStore(tmp_path / "b", clock=later(60), bucket=Bucket(there.url))
    opened(tmp_path / "a", there)  # at once; and as if killed again, for it is not closed
    SampleStore(tmp_path / "c", clock=later(400), bucket=Bucket(there.url))
    SampleStore(tmp_path / "d", clock=later(0), bucket=Bucket(there.url), take_over=True).close()


def test_an_owner_that_was_taken_over_sends_nothing_any_more_and_says_by_whom(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path / "a", there)
    filled(store, 1)
    other = SampleStore(tmp_path / "b", clock=HandClock(START + HOUR), bucket=Bucket(there.url), take_over=True)
    there_before = there.keys()
    assert isinstance(store._clock, HandClock)
    store._clock.wind(61)
    filled(store, 1, START + 2 * HOUR)
    assert there.keys() == there_before
    assert any("was taken over by the agent on" in line and "since 2026-11-22T17" in line for line in store.said)
    assert count(store, "samples", START, START + 3 * HOUR) == 24
    store.close()
    other.write(batch(other, START))
    other.maintain(START + HOUR)
    assert there.keys("samples_2026112216")
    other.close()


def test_a_renewal_that_took_effect_unseen_or_was_deleted_is_no_other_owner(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path, there)
    assert isinstance(store._clock, HandClock)
    for spoil in (lambda: there.put("owner.json", there.get("owner.json") + b" "), lambda: there.delete("owner.json")):
        spoil()
        store._clock.wind(61)
        store.maintain(START)
        assert not any("owner" in line or "taken over" in line for line in store.said)
        assert b'"renewals": ' in there.get("owner.json")
    store.close()


def test_retention_and_days_drop_in_the_bucket_too(tmp_path: Path, there: There) -> None:
    store = opened(tmp_path, there, hours=2)
    filled(store, 9)
    store.maintain(START + 9 * HOUR + timedelta(minutes=32))
    assert len(there.keys("hours/samples_")) == 2
    assert there.keys("rollups/rollups_20261122.parquet")
    assert there.keys("rollups/") == ["rollups/rollups_20261122.parquet", "rollups/rollups_2026112300.parquet"]
    leave(store)
    assert len(store.rollups(batch(store, START).series, START, START + 9 * HOUR)["series"]) == 3 * 19
    store.close()


def test_kills_on_the_way_to_the_bucket_lose_nothing_and_count_nothing_twice(tmp_path: Path, there: There) -> None:
    program = (
        "import sys, pathlib\n"
        "from datetime import timedelta\n"
        "from agent.store.bucket import Bucket\n"
        "from tests.agent.store.test_samples import START, HandClock, SampleStore, batch\n"
        "HOUR = timedelta(hours=1)\n"
        "store = SampleStore(pathlib.Path(sys.argv[1]), clock=HandClock(START), bucket=Bucket(sys.argv[2]))\n"
        "hour = int(sys.argv[3])\n"
        "while True:\n"
        "    store.write(batch(store, START + hour * HOUR))\n"
        "    print(hour, flush=True)\n"
        "    store.maintain(START + hour * HOUR + timedelta(minutes=1))\n"
        "    store.shelf.mirror.evict(1 << 60)\n"
        "    hour += 1\n"
    )
    hour = 0
    for _ in range(2):
        command = [sys.executable, "-c", program, str(tmp_path), there.url, str(hour)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(3):
            hour = int(writer.stdout.readline()) + 1
        os.kill(writer.pid, signal.SIGKILL)
        # What it still said before it was killed is committed too.
        hour = max([hour, *(int(line) + 1 for line in writer.stdout.read().split())])
        writer.stdout.close()
        writer.wait()
    store = opened(tmp_path, there)
    store.maintain(START + hour * HOUR)
    leave(store)
    until = START + hour * HOUR
    rounds = store.query(f"SELECT ts, count(*) AS n FROM {store.relation('samples', START, until)} GROUP BY ts")["n"]
    assert set(rounds.tolist()) == {3}
    assert hour <= len(rounds) <= hour + 1  # one more was written, and killed before it was said
    store.close()
