"""Samples: committed whole, moved to Parquet by the hour, and alive after what happens to files."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.model.clock import HandClock
from agent.store import samples
from agent.store.batch import Batch, texts
from agent.store.errors import StoreError
from agent.store.samples import SampleStore
from agent.store.shelf import Keep

START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


def opened(directory: Path, **keep: int) -> SampleStore:
    return SampleStore(directory, clock=HandClock(START), keep=Keep(**keep))


def batch(store: SampleStore, at: datetime, value: float = 1.0, series: int = 3) -> Batch:
    ids = [store.series_id("c", "t", "m", (("n", str(n)),)) for n in range(series)]
    events = {name: texts([name]) for name in ("cluster", "resource", "kind", "source", "detail")}
    return Batch(at=at, series=np.array(ids, dtype=np.int32), values=np.full(series, value), tables={"events": events})


def count(store: SampleStore, kind: str, since: datetime, until: datetime) -> int:
    return int(store.query(f"SELECT count(*) AS n FROM {store.relation(kind, since, until)}")["n"][0])


def test_keeps_rounds_and_series_numbers_over_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.write(batch(store, START))
    store.close()
    again = opened(tmp_path)
    assert again.series_id("c", "t", "m", (("n", "2"),)) == 2
    assert again.series_id("c", "t", "new", ()) == 3
    assert count(again, "samples", START, START) == 3
    assert count(again, "events", START, START) == 1
    again.close()


def test_a_directory_in_use_is_refused_with_who_uses_it_and_is_free_once_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from tests.agent.store.test_samples import opened\n"
        "store = opened(pathlib.Path(sys.argv[1]))\n"
        "print('open', flush=True)\n"
        "time.sleep(600)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline()
    says = rf"is used by the agent on .*, pid {other.pid}, since 2026-11-22T16:00.*end it or choose another --dir"
    with pytest.raises(StoreError, match=says):
        opened(tmp_path)
    other.kill()
    other.wait()
    other.stdout.close()
    opened(tmp_path).close()


def test_reads_nothing_from_hours_that_hold_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert count(store, "samples", START, START + timedelta(hours=3)) == 0
    store.close()


def test_rolls_a_closed_hour_off_and_reads_it_as_before(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for minute in (10, 50, 70):
        store.write(batch(store, START + timedelta(minutes=minute)))
    store.maintain(START + timedelta(minutes=71))
    assert (tmp_path / "hours" / "samples_2026112216.parquet").exists()
    assert not (tmp_path / "hours" / "samples_2026112217.parquet").exists()
    assert count(store, "samples", START, START + timedelta(hours=2)) == 9
    store.close()


def test_merges_rows_that_come_late_after_a_clock_stepped_back(tmp_path: Path) -> None:
    store = opened(tmp_path)
    later = START + timedelta(minutes=70)
    store.write(batch(store, START))
    store.maintain(later)
    store.write(batch(store, START + timedelta(minutes=5)))
    assert count(store, "samples", START, START) == 6
    store.maintain(later)
    assert count(store, "samples", START, START) == 6
    store.close()


def test_forgets_by_the_number_of_hours_so_a_clock_that_jumps_wipes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path, hours=3)
    for hour in (0, 1, 2, 50):
        store.write(batch(store, START + timedelta(hours=hour)))
        store.maintain(START + timedelta(hours=hour, minutes=1))
    assert count(store, "samples", START, START + timedelta(hours=51)) == 12
    store.write(batch(store, START + timedelta(hours=51)))
    store.maintain(START + timedelta(hours=52))
    assert count(store, "samples", START, START + timedelta(hours=1)) == 0
    assert count(store, "samples", START + timedelta(hours=2), START + timedelta(hours=52)) == 9
    store.close()


def test_forgets_the_oldest_hours_first_when_the_disk_it_may_use_is_full(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for hour in range(4):
        store.write(batch(store, START + timedelta(hours=hour)))
        store.maintain(START + timedelta(hours=hour, minutes=1))
    hours = sorted((tmp_path / "hours").glob("*_20*.parquet"))
    newest_two = sum(file.stat().st_size for file in hours if file.stem[-2:] in {"17", "18"})
    store.close()
    rest = sum(file.stat().st_size for file in (tmp_path / "samples.duckdb", tmp_path / "hours" / "series.parquet"))
    rest += sum(file.stat().st_size for file in (tmp_path / "rollups").glob("*"))
    tight = opened(tmp_path, bytes=newest_two + rest + 100)
    tight.maintain(START + timedelta(hours=3, minutes=2))
    assert {file.stem[-2:] for file in (tmp_path / "hours").glob("*_20*.parquet")} == {"17", "18"}
    tight.close()


def test_keeps_a_damaged_file_aside_and_goes_on(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(batch(store, START))
    store.write(batch(store, START + timedelta(hours=1)))
    store.maintain(START + timedelta(hours=1, minutes=1))
    store.close()
    (tmp_path / "samples.duckdb").write_bytes(b"\0" * 9000)
    again = opened(tmp_path)
    assert list(tmp_path.glob("samples.duckdb.corrupt-*"))
    assert "was damaged" in again.said[0]
    assert again.write(batch(again, START + timedelta(hours=1, minutes=2)))
    assert again.series_id("c", "t", "m", (("n", "2"),)) == 2
    assert count(again, "samples", START, START) == 3
    again.close()


def test_refuses_a_file_that_another_process_holds(tmp_path: Path) -> None:
    program = (
        "import sys, duckdb\n"
        "held = duckdb.connect(sys.argv[1] + '/samples.duckdb')\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match="held by another process"):
        opened(tmp_path)
    assert not list(tmp_path.glob("*corrupt*"))
    holder.communicate("")


def test_counts_what_it_cannot_store_and_resumes(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(batch(store, START))
    broken = batch(store, START)
    broken.tables["events"]["no_such_column"] = texts(["x"])
    assert store.write(broken) is False
    assert (store.stored, store.dropped) == (3, 3)
    assert store.said
    assert store.write(batch(store, START + timedelta(seconds=5)))
    assert count(store, "samples", START, START) == 6
    store.close()


def test_loses_no_committed_round_and_tears_none_when_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, numpy as np\n"
        "from datetime import timedelta\n"
        "from agent.model.clock import SystemClock\n"
        "from agent.store.batch import Batch\n"
        "from agent.store.samples import SampleStore\n"
        "clock = SystemClock()\n"
        "store = SampleStore(pathlib.Path(sys.argv[1]), clock=clock)\n"
        "ids = np.array([store.series_id('c', 't', 'm', (('n', str(n)),)) for n in range(500)], dtype=np.int32)\n"
        "while True:\n"
        "    store.write(Batch(at=clock.now(), series=ids, values=np.ones(500)))\n"
        "    print(store.stored, flush=True)\n"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(3):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        writer.stdout.close()
        writer.wait()
    store = opened(tmp_path)
    now = datetime.now(UTC)
    since = now - timedelta(hours=1)
    rounds = store.query(f"SELECT ts, count(*) AS n FROM {store.relation('samples', since, now)} GROUP BY ts")["n"]
    assert len(rounds) >= 9
    assert set(rounds.tolist()) == {500}
    store.close()


def test_one_cluster_cannot_take_the_room_for_series_that_is_anothers(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "MOST_SERIES", 4)
    store = SampleStore(tmp_path, clock=HandClock(START), clusters=2)
    for name in ("a", "b"):
        store.series_id("greedy", "t", name, ())
    store.write(Batch(at=START, series=np.array([0, 1], dtype=np.int32), values=np.ones(2), tables={}))
    store.close()
    again = SampleStore(tmp_path, clock=HandClock(START), clusters=2)
    with pytest.raises(StoreError, match="2 series of greedy"):
        again.series_id("greedy", "t", "c", ())
    assert [again.series_id("modest", "t", name, ()) for name in ("a", "b")] == [2, 3]
    again.close()
