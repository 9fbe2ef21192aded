"""Rollups on disk: made as hours close, merged by the day, kept longer than samples, and made up for old hours."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.reading import Matcher, SeriesReader
from agent.store.samples import SampleStore
from agent.store.shelf import Keep

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
MINUTE_MS = 60_000


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def opened(directory: Path, **keep: int) -> SampleStore:
    return SampleStore(directory, clock=HandClock(START), keep=Keep(**keep))


def fill(store: SampleStore, since: datetime, minutes: int, every: int = 1) -> int:
    """A counter that grows by its minute of the day and restarts at every full hour."""
    id = store.series_id("c", "t", "m", ())
    for minute in range(0, minutes, every):
        at = since + timedelta(minutes=minute)
        value = np.array([float(at.minute * 2)])
        store.write(Batch(at=at, series=np.array([id], dtype=np.int32), values=value))
    return id


def files(directory: Path) -> list[str]:
    return sorted(file.stem.partition("_")[2] for file in (directory / "rollups").iterdir())


def starts(store: SampleStore, since: datetime, until: datetime) -> list[int]:
    """Minutes from START at which there is a bucket."""
    buckets = SeriesReader(store).rollups(np.array([0]), ms(since), ms(until))
    return ((buckets.start_ms - ms(START)) // MINUTE_MS).tolist()


def test_hours_become_rollups_and_days_become_one_file(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, START, 200)
    before = SeriesReader(store).rollups(np.array([0]), ms(START), ms(START) + 200 * MINUTE_MS)
    store.maintain(START + timedelta(minutes=200))
    assert files(tmp_path) == ["20261122", "2026112300"]
    after = SeriesReader(store).rollups(np.array([0]), ms(START), ms(START) + 200 * MINUTE_MS)
    for name in ("start_ms", "low", "high", "last", "count", "sum", "increase"):
        assert getattr(after, name).tolist() == getattr(before, name).tolist(), name
    assert after.start_ms.size == 40
    assert after.increase.sum() == 3 * 118 + 19 * 2
    store.close()


def test_rows_that_come_late_change_the_rollups_of_a_day_that_was_merged(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, START, 60, every=10)
    later = START + timedelta(days=1)
    store.maintain(later)
    assert files(tmp_path) == ["20261122"]
    fill(store, START + timedelta(minutes=5), 60, every=10)
    assert starts(store, START, later) == list(range(0, 60, 5))
    store.maintain(later)
    assert files(tmp_path) == ["20261122"]
    buckets = SeriesReader(store).rollups(np.array([0]), ms(START), ms(later))
    assert (buckets.increase.sum(), buckets.count.tolist()) == (110, [1] * 12)
    store.close()


def test_rollups_outlive_the_samples_and_go_by_the_day(tmp_path: Path) -> None:
    store = opened(tmp_path, hours=2, days=2)
    for day in range(4):
        fill(store, START + timedelta(days=day), 60, every=30)
        store.maintain(START + timedelta(days=day, hours=1))
    assert len(list((tmp_path / "hours").glob("samples_*"))) == 2
    assert files(tmp_path) == ["20261124", "2026112522"]
    assert starts(store, START, START + timedelta(days=4)) == [2880, 2910, 4320, 4350]
    assert "20261122" in " ".join(store.said)
    store.close()


def test_a_roll_off_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, START, 60)
    whole = starts(store, START, START + timedelta(hours=1))
    store.close()
    (tmp_path / "rollups" / "rollups_2026112222.draft").write_bytes(b"half")
    (tmp_path / "hours" / "samples_2026112222.draft").write_bytes(b"half")
    store = opened(tmp_path)
    assert not list(tmp_path.glob("*/*.draft"))
    store.maintain(START + timedelta(hours=1))
    assert starts(store, START, START + timedelta(hours=1)) == whole
    store.close()


OLD = """
SET TimeZone = 'UTC';
CREATE TABLE series(id INTEGER, cluster VARCHAR, target VARCHAR, name VARCHAR, labels MAP(VARCHAR, VARCHAR),
    first_ts TIMESTAMPTZ);
INSERT INTO series VALUES (0, 'c', 't', 'm', map(['topic'], ['größe']), '2026-11-22 22:00:00+00'),
    (1, 'c', 't', 'n', map([]::VARCHAR[], []::VARCHAR[]), '2026-11-22 22:00:00+00');
CREATE TABLE samples_2026112223(series INTEGER, ts TIMESTAMPTZ, value DOUBLE);
INSERT INTO samples_2026112223
    SELECT 0, TIMESTAMPTZ '2026-11-22 23:00:00+00' + to_minutes(range::BIGINT), 60 + range FROM range(60);
"""


def test_the_store_of_release_0_1_0_keeps_its_history(tmp_path: Path) -> None:
    (tmp_path / "hours").mkdir()
    with duckdb.connect(str(tmp_path / "samples.duckdb")) as old:
        old.execute(OLD)
        old.execute(
            "COPY (SELECT 0 AS series, TIMESTAMPTZ '2026-11-22 22:00:00+00' + to_minutes(range::BIGINT) AS ts, "
            f"range::DOUBLE AS value FROM range(60)) TO '{tmp_path}/hours/samples_2026112222.parquet' "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    store = opened(tmp_path)
    assert store.series_id("c", "t", "m", (("topic", "größe"),)) == 0
    assert store.series_id("c", "t", "new", ()) == 2
    end = START + timedelta(hours=2)
    reader = SeriesReader(store)
    for _ in range(2):
        found = reader.series([Matcher(label="topic", op="=", value="größe")], ms(START), ms(end))
        assert reader.points(found.ids, ms(START), ms(end)).values.tolist() == [float(n) for n in range(120)]
        buckets = reader.rollups(found.ids, ms(START), ms(end))
        assert (len(buckets.count), buckets.increase.sum()) == (24, 119)
        store.maintain(end)
    assert files(tmp_path) == ["20261122"]
    store.close()
