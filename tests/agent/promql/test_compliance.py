"""The compliance queries against what a real Prometheus 2.42 said, on a small sample; `make promql` is the whole."""

import numpy as np
import pytest

from agent.model.clock import SystemClock
from agent.promql.engine import Engine
from agent.promql.errors import QueryError
from agent.promql.query import Settings
from agent.promql.source import Matcher
from agent.promql.stored import StoredSource
from agent.store.samples import SampleStore
from tests.promql import demo_service, expected
from tests.promql.cases import cases
from tests.promql.compare import difference
from tests.promql.memory import MemorySource
from tests.promql.store import fill

CLOSED = Settings(range_edge="closed")


@pytest.fixture(scope="module")
def engine():
    return Engine(source=MemorySource(expected.sample()), clock=SystemClock(), settings=CLOSED)


def test_every_query_is_answered_as_prometheus_answers_it(engine):
    answers, apart = expected.load(), {}
    assert len(answers) == len(cases()) > 500
    for query, answer in answers.items():
        try:
            ours = engine.range(query, expected.START_MS, expected.END_MS, expected.STEP_MS)
        except QueryError as error:
            if answer is not None:
                apart[query] = str(error)
            continue
        why = difference(ours, answer) if answer is not None else "Prometheus refuses it"
        if why:
            apart[query] = why
    assert apart == {}


def test_the_comparison_itself_finds_what_differs(engine):
    answer = expected.load()["demo_memory_usage_bytes"]
    other = engine.range("demo_memory_usage_bytes * 1.00000001", expected.START_MS, expected.END_MS, expected.STEP_MS)
    assert difference(answer, answer) == ""
    assert "series missing" in difference(other, answer)
    negated = expected.load()["-demo_memory_usage_bytes"]
    assert "instead of" in difference(
        engine.range("-1.00000001 * demo_memory_usage_bytes", expected.START_MS, expected.END_MS, expected.STEP_MS),
        negated,
    )


def test_the_store_gives_the_engine_what_was_written(tmp_path):
    series = demo_service.make(3, minutes=6, calls=1)
    store = SampleStore(tmp_path, clock=SystemClock())
    try:
        fill(store, series)
        stored, memory = StoredSource(store), MemorySource(series)
        for matcher in (
            Matcher(name="__name__", op="=~", value="demo_(memory|intermittent).*"),
            Matcher(name="le", op="!=", value=""),
        ):
            there, here = stored.select([matcher]), memory.select([matcher])
            rows = [there.labels.row(n) for n in range(len(there.ids))]
            assert sorted(map(sorted, map(dict.items, rows))) == sorted(
                sorted(here.labels.row(n).items()) for n in range(len(here.ids))
            )
            since, until = demo_service.START_MS + 60_000, demo_service.START_MS + 300_000
            found, wanted = stored.read(there.ids, since, until, 10**6), memory.read(here.ids, since, until, 10**6)
            assert len(found.times) == len(wanted.times) > 0
            assert found.stale.sum() == wanted.stale.sum()
            assert np.isclose(np.nansum(found.values[~found.stale]), np.nansum(wanted.values[~wanted.stale]))
        assert store.dropped == 0
    finally:
        store.close()
