"""`docs/promql.md` names what the engine does."""

import re
from pathlib import Path

from agent.promql.aggregate import SIMPLE
from agent.promql.functions import SUPPORTED
from agent.promql.query import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "promql.md").read_text("utf-8")


def test_every_function_and_aggregation_is_in_the_docs():
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert sorted((SUPPORTED | SIMPLE | {"topk", "bottomk", "quantile", "count_values"}) - named) == []


def test_the_limits_in_the_docs_are_those_in_force():
    usual = Settings()
    assert f"{usual.most_points:,} points" in PAGE
    assert f"({usual.most_samples // 10**6} million)" in PAGE
    assert f"({usual.timeout_s:g} s)" in PAGE
    assert f"{usual.most_query_bytes >> 10} KiB, {usual.most_operators} operators" in PAGE
