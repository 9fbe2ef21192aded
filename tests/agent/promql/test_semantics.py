"""What the compliance queries do not reach: edges of ranges, staleness, matching that must fail, pinned times."""

import math

import pytest

from agent.promql.errors import BadQuery, QueryError
from tests.agent.promql.series import STALE, at, engine, every, series

COUNTER = series("c", {"i": "a"}, every(15, [0, 15, 30, 45, 60, 75, 90, 105, 120]))


def test_a_range_leaves_out_its_left_edge_unless_told_otherwise():
    assert at(engine(COUNTER), "count_over_time(c[60s])", 60) == {"i=a": 4}
    assert at(engine(COUNTER, range_edge="closed"), "count_over_time(c[60s])", 60) == {"i=a": 5}
    assert at(engine(COUNTER), "count_over_time(c[60s:15s])", 60) == {"i=a": 4}
    assert at(engine(COUNTER, range_edge="closed"), "count_over_time(c[60s:15s])", 60) == {"i=a": 5}


def test_a_sample_is_seen_for_the_lookback_and_no_longer():
    seen = engine(series("g", {}, {0: 7.0}))
    assert at(seen, "g", 299.999) == {"__name__=g": 7}
    assert at(seen, "g", 300) == {}
    assert at(engine(series("g", {}, {0: 7.0}), range_edge="closed"), "g", 300) == {"__name__=g": 7}


def test_a_stale_marker_ends_a_series_at_once_and_is_no_sample_of_a_range():
    ended = engine(series("g", {}, {0: 1.0, 10: 3.0, 20: STALE, 40: 5.0}))
    assert at(ended, "g", 19) == {"__name__=g": 3}
    assert at(ended, "g", 25) == {}
    assert at(ended, "g", 41) == {"__name__=g": 5}
    assert at(ended, "sum_over_time(g[1m])", 45) == {"": 9}
    assert at(ended, "absent(g)", 25) == {"": 1}


def test_a_rate_is_extrapolated_to_the_edges_and_survives_resets():
    assert at(engine(COUNTER), "rate(c[1m])", 60)["i=a"] == pytest.approx(1.0)
    reset = engine(series("c", {}, every(15, [100, 130, 10, 40, 70])))
    assert at(reset, "increase(c[1m])", 60)[""] == pytest.approx((30 - 10 + 40 + 30) * 60 / 45, rel=0.4)
    assert at(reset, "resets(c[2m])", 60) == {"": 1}
    assert at(reset, "changes(c[2m])", 60) == {"": 4}


def test_a_counter_is_not_carried_on_below_zero():
    young = engine(series("c", {}, every(15, [0, 30, 60], first=30)))
    assert at(young, "increase(c[1m])", 60)[""] == pytest.approx(60)
    assert at(young, "delta(c[1m])", 60)[""] == pytest.approx(60 * 37.5 / 30)


def test_at_pins_a_selector_and_offset_moves_it():
    made = engine(COUNTER)
    assert at(made, "c @ 45", 120) == {"__name__=c,i=a": 45}
    assert at(made, "c offset 30s", 120) == {"__name__=c,i=a": 90}
    assert at(made, "c offset -30s", 60) == {"__name__=c,i=a": 90}
    result = made.range("c @ end() - c @ start()", 0, 120_000, 60_000)["result"]
    assert [value for _, value in result[0]["values"]] == ["120", "120", "120"]
    assert at(made, "sum_over_time(c[30s:15s] @ 45)", 120) == {"i=a": 75}
    assert at(made, "timestamp(c @ 50)", 120) == {"i=a": 45}


TWO = (
    series("left", {"i": "a", "k": "1"}, {0: 1.0}),
    series("left", {"i": "a", "k": "2"}, {0: 2.0}),
    series("right", {"i": "a", "z": "s"}, {0: 10.0}),
    series("right", {"i": "b", "z": "t"}, {0: 20.0}),
)


def test_many_to_one_needs_the_word_and_copies_the_labels_it_names():
    made = engine(*TWO)
    with pytest.raises(QueryError, match="many-to-one matching must be explicit"):
        at(made, "left * on(i) right", 1)
    assert at(made, "left * on(i) group_left(z) right", 1) == {"i=a,k=1,z=s": 10, "i=a,k=2,z=s": 20}
    assert at(made, "right * on(i) group_right(z) left", 1) == {"i=a,k=1,z=s": 10, "i=a,k=2,z=s": 20}
    with pytest.raises(QueryError, match=r"found duplicate series .*many-to-many"):
        at(made, "right * on(i) left", 1)
    assert at(made, "left * ignoring(k, z) group_left right", 1) == {"i=a,k=1": 10, "i=a,k=2": 20}


def test_sets_are_of_labels_and_keep_the_left():
    made = engine(*TWO)
    assert at(made, "right and on(i) left", 1) == {"__name__=right,i=a,z=s": 10}
    assert at(made, "right unless on(i) left", 1) == {"__name__=right,i=b,z=t": 20}
    assert len(at(made, "left or right", 1)) == 4
    assert at(made, "left or on(i) right", 1).keys() == {
        "__name__=left,i=a,k=1", "__name__=left,i=a,k=2", "__name__=right,i=b,z=t",
    }  # fmt: skip


def test_a_comparison_filters_or_says_0_and_1():
    made = engine(*TWO)
    assert at(made, "left > 1", 1) == {"__name__=left,i=a,k=2": 2}
    assert at(made, "1 < left", 1) == {"__name__=left,i=a,k=2": 2}
    assert at(made, "left > bool 1", 1) == {"i=a,k=1": 0, "i=a,k=2": 1}


def test_series_that_become_one_are_refused_only_where_they_meet():
    made = engine(*TWO)
    with pytest.raises(QueryError, match="same labelset"):
        at(made, 'label_replace(left, "k", "", "k", ".*")', 1)
    apart = engine(series("x", {}, {0: 1.0, 10: STALE}), series("y", {}, {60: 2.0}))
    assert at(apart, '-{__name__=~"x|y"}', 5) == {"": -1}
    assert at(apart, '-{__name__=~"x|y"}', 60) == {"": -2}


def test_expressions_are_whole_matches_in_re2():
    made = engine(*TWO)
    assert at(made, 'left{k=~"1|3"}', 1).keys() == {"__name__=left,i=a,k=1"}
    assert at(made, '{__name__=~"lef"}', 1) == {}
    assert at(made, 'left{absent=~"|x"}', 1).keys() == at(made, "left", 1).keys()
    assert at(made, 'label_replace(left, "n", "$1-${2}$3$$", "__name__", "(l)(?P<w>.*)t")', 1).keys() == {
        "__name__=left,i=a,k=1,n=l-ef$", "__name__=left,i=a,k=2,n=l-ef$",
    }  # fmt: skip
    assert at(made, 'sum by (n) (label_replace(left, "n", "$w", "__name__", "l(?P<w>.*)"))', 1) == {"n=eft": 3}


def test_ranks_quantiles_and_values():
    made = engine(*(series("g", {"i": str(n)}, {0: float(n)}) for n in range(5)))
    assert at(made, "topk(2, g)", 1) == {"__name__=g,i=4": 4, "__name__=g,i=3": 3}
    assert at(made, "bottomk(1, g)", 1) == {"__name__=g,i=0": 0}
    assert at(made, "quantile(0.5, g)", 1) == {"": 2}
    assert at(made, 'count_values("v", g > bool 1)', 1) == {"v=0": 2, "v=1": 3}
    assert at(made, "stddev(g)", 1)[""] == pytest.approx(math.sqrt(2))
    assert at(made, "sort_desc(g > 2)", 1) == {"__name__=g,i=4": 4, "__name__=g,i=3": 3}


def test_a_histogram_with_missing_buckets_is_read_as_it_is():
    buckets = {"0.1": 1.0, "1": 3.0, "+Inf": 4.0}
    made = engine(*(series("h_bucket", {"le": le}, {0: count}) for le, count in buckets.items()))
    assert at(made, "histogram_quantile(0.5, h_bucket)", 1)[""] == pytest.approx(0.1 + 0.9 * 0.5)
    assert at(made, "histogram_quantile(1, h_bucket)", 1) == {"": 1}
    assert math.isnan(at(made, 'histogram_quantile(0.5, h_bucket{le!="+Inf"})', 1)[""])


def test_scalars_vectors_and_times():
    made = engine(COUNTER)
    assert at(made, "scalar(c)", 30) == 30
    assert math.isnan(at(made, "scalar(nothing)", 30))
    assert at(made, "vector(time())", 30) == {"": 30}
    assert at(made, "hour(vector(1700000000)) * 100 + minute(vector(1700000000))", 0) == {"": 2213}
    assert at(made, "days_in_month(vector(1709210096)) + day_of_year(vector(1709210096))", 0) == {"": 29 + 60}
    assert at(made, "round(vector(-2.5)) + clamp(vector(9), 1, 3)", 0) == {"": 1}
    assert made.instant('"words"', 0) == {"resultType": "string", "result": [0, "words"]}
    assert made.instant("c[20s]", 30_500)["result"][0]["values"] == [[15, "15"], [30, "30"]]


def test_a_range_vector_has_no_place_in_a_range_query():
    with pytest.raises(BadQuery, match="invalid expression type"):
        engine(COUNTER).range("c[1m]", 0, 60_000, 15_000)
