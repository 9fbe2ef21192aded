"""Which series had samples in a time, in running hours, closed hours and days whose samples are gone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.samples import SampleStore
from agent.store.seen import SeenSeries
from agent.store.shelf import Keep

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):
    """Series n has two samples in hour n, five minutes and ten minutes after its start."""
    store = SampleStore(tmp_path, clock=HandClock(START), keep=Keep(hours=3))
    for hour in range(5):
        id = store.series_id("c", "t", "m", (("n", str(hour)),))
        for minute in (5, 10):
            at = START + timedelta(hours=hour, minutes=minute)
            store.write(Batch(at=at, series=np.array([id], dtype=np.int32), values=np.array([1.0])))
    yield store
    store.close()


def seen(reader: SeenSeries, since_minutes: int, until_minutes: int) -> list[int]:
    since, until = START + timedelta(minutes=since_minutes), START + timedelta(minutes=until_minutes)
    return np.flatnonzero(reader.during(since, until)).tolist()


def test_the_running_hours_are_read_to_the_sample(store: SampleStore) -> None:
    reader = SeenSeries(store)
    assert seen(reader, 0, 300) == [0, 1, 2, 3, 4]
    assert seen(reader, 11, 65) == [1]
    assert seen(reader, 11, 64) == []


def test_a_closed_hour_counts_whole_and_is_found_after_its_samples_are_gone(store: SampleStore) -> None:
    reader = SeenSeries(store)
    store.maintain(START + timedelta(hours=4, minutes=30))
    assert seen(reader, 125, 160) == [2]
    assert seen(reader, 155, 160) == [2]
    assert seen(reader, 241, 244) == []
    assert seen(reader, 0, 30) == [0, 1]
    assert seen(reader, 125, 250) == [2, 3, 4]
    assert seen(reader, 125, 250) == [2, 3, 4]


def test_rows_that_come_late_to_a_closed_hour_are_seen(store: SampleStore) -> None:
    reader = SeenSeries(store)
    late = START + timedelta(hours=4, minutes=30)
    store.maintain(late)
    assert seen(reader, 125, 160) == [2]
    again = Batch(at=START + timedelta(minutes=130), series=np.array([4], dtype=np.int32), values=np.array([1.0]))
    store.write(again)
    assert seen(reader, 125, 160) == [2, 4]
    store.maintain(late)
    assert seen(reader, 125, 160) == [2, 4]
