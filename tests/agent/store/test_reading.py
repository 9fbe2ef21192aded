"""The reading seam: matchers and a range in, labels and numpy columns out."""

import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.reading import Matcher, SeriesReader, is_stale
from agent.store.samples import SampleStore

START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
TOPICS = ("orders", "payments", "größe", "")


@pytest.fixture
def store(tmp_path: Path):
    store = SampleStore(tmp_path, clock=HandClock(START))
    yield store
    store.close()


def fill(store: SampleStore, minutes: int, first: int = 0) -> list[int]:
    """One sample a minute of a counter per topic, which restarts every seventh minute, and of a gauge."""
    ids = [
        store.series_id("prod", "http://b1:9404/metrics", "bytes_total", (("topic", topic),) if topic else ())
        for topic in TOPICS
    ]
    ids.append(store.series_id("prod", "admin", "lag", (("instance", "own"), ("topic", "orders"))))
    for minute in range(first, first + minutes):
        values = [float(minute % 7 * (n + 1)) for n in range(len(TOPICS))] + [float(minute)]
        at = START + timedelta(minutes=minute)
        store.write(Batch(at=at, series=np.array(ids, dtype=np.int32), values=np.array(values)))
    return ids


def chosen(store: SampleStore, *matchers: tuple[str, str, str]) -> list[dict[str, str]]:
    wanted = [Matcher(label=label, op=op, value=value) for label, op, value in matchers]
    return [dict(labels) for labels in SeriesReader(store).series(wanted, START_MS, START_MS + 3_600_000).labels]


def test_a_series_has_its_own_labels_and_those_of_its_source(store: SampleStore) -> None:
    fill(store, 1)
    assert chosen(store, ("topic", "=", "payments")) == [
        {"__name__": "bytes_total", "topic": "payments", "cluster": "prod", "instance": "b1:9404"}
    ]
    assert chosen(store, ("__name__", "=", "lag"))[0]["instance"] == "own"


@pytest.mark.parametrize(
    ("matchers", "count"),
    [
        ([("__name__", "=", "bytes_total")], 4),
        ([("topic", "=", "")], 1),
        ([("topic", "!=", "")], 4),
        ([("topic", "=~", "ord.*|pay.*")], 3),
        ([("topic", "=~", "ord")], 0),
        ([("topic", "!~", "ord.*")], 3),
        ([("topic", "=~", "gr..e")], 1),
        ([("no_such", "=~", ".*")], 5),
        ([("no_such", "=~", ".+")], 0),
        ([("instance", "=", "b1:9404"), ("cluster", "=", "prod")], 4),
        ([("topic", "=", "o' OR true --")], 0),
    ],
)
def test_matchers_mean_what_they_mean_in_prometheus(store: SampleStore, matchers: list, count: int) -> None:
    fill(store, 1)
    assert len(chosen(store, *matchers)) == count


def test_points_come_by_series_and_time_across_closed_and_open_hours(store: SampleStore) -> None:
    ids = fill(store, 70)
    store.maintain(START + timedelta(minutes=70))
    points = SeriesReader(store).points(np.array(ids[3:]), START_MS + 50 * 60_000, START_MS + 65 * 60_000)
    assert points.series.tolist() == [ids[3]] * 16 + [ids[4]] * 16
    assert points.values[16:].tolist() == [float(n) for n in range(50, 66)]
    assert points.at_ms[:2].tolist() == [START_MS + 50 * 60_000, START_MS + 51 * 60_000]


def test_a_series_that_ended_has_a_stale_marker_and_not_just_a_nan(store: SampleStore) -> None:
    ids = np.array(fill(store, 1)[:2], dtype=np.int32)
    later = START + timedelta(minutes=1)
    store.write(Batch(at=later, series=ids[:1], values=np.array([math.nan]), ended=ids[1:]))
    for rolled in (False, True):
        if rolled:
            store.maintain(START + timedelta(hours=2))
        points = SeriesReader(store).points(ids, START_MS, START_MS + 3_600_000)
        assert np.isnan(points.values).tolist() == [False, True, False, True]
        assert is_stale(points.values).tolist() == [False, False, False, True]


def test_rollups_of_a_row_add_up_to_the_growth_of_all_of_it(store: SampleStore) -> None:
    ids = fill(store, 70)
    store.maintain(START + timedelta(minutes=70))
    fill(store, 20, first=70)
    buckets = SeriesReader(store).rollups(np.array(ids[:1]), START_MS + 55 * 60_000, START_MS + 85 * 60_000)
    assert ((buckets.start_ms - START_MS) // 60_000).tolist() == [55, 60, 65, 70, 75, 80, 85]
    assert buckets.count.tolist() == [5] * 7
    minutes = range(55, 90)
    growth = [minute % 7 - (minute - 1) % 7 if minute % 7 else 0 for minute in minutes]
    assert buckets.increase.sum() == sum(growth)
    assert buckets.last.tolist() == [float(minute % 7) for minute in range(59, 90, 5)]
    assert (buckets.low[0], buckets.high[0], buckets.sum[0]) == (0.0, 6.0, 6.0 + 0 + 1 + 2 + 3)


def test_a_range_may_be_all_of_time(store: SampleStore) -> None:
    ids = np.array(fill(store, 3)[:1])
    reader = SeriesReader(store)
    began = time.process_time()
    assert len(reader.points(ids, 0, 4_000_000_000_000).values) == 3
    assert reader.rollups(ids, 0, 4_000_000_000_000).count.tolist() == [3]
    assert time.process_time() - began < 2.0
