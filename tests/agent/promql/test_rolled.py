"""Ranges too long for samples are answered from rollups, and the answer says so."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.model.clock import HandClock
from agent.promql.engine import Engine
from agent.promql.errors import TooMuch
from agent.promql.query import Settings
from agent.promql.stored import StoredSource
from agent.store.batch import Batch
from agent.store.samples import SampleStore

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
MINUTES = 100


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six counters of two topics, a sample a minute; each restarts every 37th minute."""
    made = SampleStore(tmp_path_factory.mktemp("rolled"), clock=HandClock(START))
    ids = [made.series_id("c", f"b{n}", "bytes_total", (("topic", f"t{n % 2}"),)) for n in range(6)]
    for minute in range(MINUTES + 1):
        values = np.array([60.0 * (n + 1) * (1 + minute % 37) for n in range(6)])
        made.write(Batch(at=START + timedelta(minutes=minute), series=np.array(ids, dtype=np.int32), values=values))
    yield made
    made.close()


def engine(store, most):
    return Engine(source=StoredSource(store), clock=HandClock(START), settings=Settings(most_samples=most))


@pytest.mark.parametrize(
    "query", ["sum by (topic) (rate(bytes_total[10m]))", "sum(increase(bytes_total[30m]))", "rate(bytes_total[10m])"]
)
def test_the_rollups_say_what_the_samples_say(store, query):
    ends = (START_MS + 40 * 60_000, START_MS + MINUTES * 60_000, 300_000)
    exact, coarse = engine(store, 10**6).range(query, *ends), engine(store, 500).range(query, *ends)
    assert "warnings" not in exact
    assert "five-minute rollups" in coarse["warnings"][0]
    assert [each["metric"] for each in coarse["result"]] == [each["metric"] for each in exact["result"]]
    for ours, theirs in zip(coarse["result"], exact["result"], strict=True):
        found = np.array([float(value) for _, value in ours["values"]])
        wanted = np.array([float(value) for _, value in theirs["values"]])
        assert len(found) == len(wanted) == 13
        assert np.allclose(found, wanted, rtol=0.12)
        assert abs(found.mean() / wanted.mean() - 1) < 0.03


@pytest.mark.parametrize(
    ("query", "buckets"),
    [
        ("sum by (topic) (sum_over_time(bytes_total[35m]))", 7),
        ("count_over_time(bytes_total[10m])", 2),
        ("avg_over_time(bytes_total[15m])", 3),
        ("min(min_over_time(bytes_total[55m]))", 11),
        ("max by (topic) (max_over_time(bytes_total[1h5m]))", 13),
        ("max_over_time(bytes_total[20m])", 4),
        ("last_over_time(bytes_total[5m])", 1),
        ("present_over_time(bytes_total[5m])", 1),
    ],
)
def test_ranges_of_whole_buckets_are_exact_but_for_their_edges(store, query, buckets):
    """A bucket holds its left edge and not its right one: asked half a minute before the edge, there is no other."""
    exact, coarse = engine(store, 10**6), engine(store, 6 * 3 * buckets)
    for minute in (75, 85, 95):
        before = START_MS + minute * 60_000
        wanted, found = exact.instant(query, before - 30_000), coarse.instant(query, before)
        assert "five-minute rollups" in found["warnings"][0]
        assert [each["metric"] for each in found["result"]] == [each["metric"] for each in wanted["result"]]
        ours = [float(each["value"][1]) for each in found["result"]]
        assert ours == pytest.approx([float(each["value"][1]) for each in wanted["result"]], rel=1e-12)


@pytest.mark.parametrize("query", ["stddev_over_time(bytes_total[90m])", "max_over_time(bytes_total[91m])"])
def test_what_rollups_cannot_answer_is_refused_as_before(store, query):
    with pytest.raises(TooMuch):
        engine(store, 100).instant(query, START_MS + MINUTES * 60_000)
