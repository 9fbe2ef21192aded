"""Buckets of the running hour: kept as they finish, and the same as those that a file holds later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.reading import Buckets, SeriesReader
from agent.store.samples import SampleStore

START = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
SERIES = 9
COLUMNS = ("series", "start_ms", "low", "high", "last", "count", "sum", "increase")


@pytest.fixture
def store(tmp_path: Path):
    store = SampleStore(tmp_path, clock=HandClock(START))
    yield store
    store.close()


def write(store: SampleStore, minutes: range) -> np.ndarray:
    """A sample a minute of counters that restart every 37th minute; every 50th minute none."""
    ids = np.array([store.series_id("c", "t", "m", (("n", str(n)),)) for n in range(SERIES)], dtype=np.int32)
    for minute in minutes:
        if minute % 50:
            values = np.array([float((minute % 37 + 1) * (n + 1)) for n in range(SERIES)])
            store.write(Batch(at=START + timedelta(minutes=minute), series=ids, values=values))
    return ids


def buckets(store: SampleStore, ids: np.ndarray, minutes: int = 300) -> Buckets:
    return SeriesReader(store).rollups(ids, START_MS, START_MS + minutes * 60_000)


def assert_same(one: Buckets, other: Buckets) -> None:
    for name in COLUMNS:
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name


def test_what_is_kept_grows_with_the_hour_and_equals_what_the_files_say(store: SampleStore) -> None:
    for minutes in (range(3), range(3, 17), range(17, 44), range(44, 152)):
        ids = write(store, minutes)
        asked = buckets(store, ids)
        alone = buckets(store, ids[:1])
        assert alone.increase.tolist() == asked.increase[asked.series == ids[0]].tolist()
        assert int(asked.count.sum()) == SERIES * sum(minute % 50 != 0 for minute in range(minutes.stop))
    store.maintain(START + timedelta(minutes=152))
    assert_same(buckets(store, ids), asked)


def test_a_row_that_comes_late_is_in_the_next_answer(store: SampleStore) -> None:
    ids = write(store, range(1, 70))
    before = buckets(store, ids)
    late = START + timedelta(minutes=35, seconds=30)
    store.write(Batch(at=late, series=ids, values=np.full(SERIES, 1e6)))
    after = buckets(store, ids)
    assert int(after.count.sum()) == int(before.count.sum()) + SERIES
    assert after.high.max() == 1e6


def test_a_range_that_ends_early_leaves_the_rest_out(store: SampleStore) -> None:
    ids = write(store, range(1, 70))
    whole = buckets(store, ids)
    part = buckets(store, ids, minutes=20)
    assert part.start_ms.max() == START_MS + 20 * 60_000
    assert part.increase.tolist() == whole.increase[whole.start_ms <= START_MS + 20 * 60_000].tolist()


def test_points_of_series_far_apart_come_in_order_though_rows_came_late(store: SampleStore) -> None:
    ids = write(store, range(1, 40))
    store.write(Batch(at=START + timedelta(minutes=5, seconds=1), series=ids, values=np.full(SERIES, 7.0)))
    far = ids[[0, 4, 8]]
    points = SeriesReader(store).points(far, START_MS, START_MS + 3_600_000)
    assert points.series.tolist() == sorted(points.series.tolist())
    for one in far:
        times = points.at_ms[points.series == one]
        assert len(times) == 40
        assert (np.diff(times) > 0).all()
