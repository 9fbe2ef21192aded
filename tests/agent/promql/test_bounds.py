"""What a query may cost, and what is refused by name."""

import pytest

from agent.model.clock import SystemClock
from agent.promql.engine import Engine
from agent.promql.errors import BadQuery, TooMuch, TooSlow, Unsupported
from agent.promql.query import Settings
from tests.agent.promql.series import engine, every, series
from tests.promql.memory import MemorySource

COUNTER = series("c", {"i": "a"}, every(15, [float(n) for n in range(2000)]))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("histogram_avg(c)", "histogram_avg"),
        ('sort_by_label(c, "i")', "sort_by_label"),
        ("mad_over_time(c[5m])", "mad_over_time"),
        ("limitk(1, c)", "limitk"),
        ("c + fill(0) c", "fill"),
        ('c{i="a" or i="b"}', "or"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(query, name):
    with pytest.raises(Unsupported, match=name):
        engine(COUNTER).instant(query, 60_000)


@pytest.mark.parametrize("query", ["", "c{", "sum(", "rate(c)", "nothing_like_this()", 'c{i=~"("}', "1 > 2"])
def test_what_is_no_query_is_bad_data(query):
    with pytest.raises(BadQuery):
        engine(COUNTER).instant(query, 60_000)


@pytest.mark.parametrize(
    "query",
    ["-" * 10_000 + "c", "^".join(["2"] * 8000), "+".join(["1"] * 8000), "(" * 5000 + "1" + ")" * 5000, "c" * 20_000],
)
def test_a_query_that_would_break_the_parser_does_not_reach_it(query):
    with pytest.raises(BadQuery, match="at most"):
        engine(COUNTER).instant(query, 60_000)


def test_a_range_has_at_most_11000_points():
    with pytest.raises(BadQuery, match="11,000 points"):
        engine(COUNTER).range("c", 0, 11_000_000, 1000)
    assert len(engine(COUNTER).range("time()", 0, 10_999_000, 1000)["result"][0]["values"]) == 11_000


@pytest.mark.parametrize(
    "query", ["c[8h]", "sum(rate(c[1m]))", "max_over_time(c[8h:1s])", "max_over_time(c[1000d:1ms])"]
)
def test_samples_are_counted_while_they_are_loaded_and_made(query):
    with pytest.raises(TooMuch, match="samples"):
        made = engine(COUNTER, most_samples=1500)
        made.instant(query, 30_000_000) if "[8h]" in query else made.range(query, 0, 30_000_000, 15_000)


def test_a_slow_query_ends_at_its_deadline():
    class Hasty(SystemClock):
        ticks = 0.0

        def monotonic(self):
            self.ticks += 1.0
            return self.ticks

    made = Engine(source=MemorySource([COUNTER]), clock=Hasty(), settings=Settings(timeout_s=5))
    with pytest.raises(TooSlow, match="timed out"):
        made.range("sum_over_time(c[8h]) + sum_over_time(c[8h])", 0, 29_000_000, 60_000)
