"""The engine: what a page is shown, what it may do there, and what comes back."""

import time
from datetime import UTC, datetime

import duckdb
import pytest

from rules import engine, sandbox, views
from rules import page as pages
from rules.engine import NoData, QueryError, Workspace
from tests.rules.pages import PAGE, page, with_query

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
COLUMNS = 'true AS fired, 1 AS observed, $floor AS "limit", 1 AS score, NULL AS usd_per_month'


class Shown:
    """A source that shows these rows, and counts how often it is asked."""

    def __init__(self, age_s=1e9, **rows):
        self.rows, self.age, self.filled = rows, age_s, []

    def fill(self, connection, view, at, window_s):
        self.filled.append((view, window_s))
        rows = self.rows.get(view, [])
        if isinstance(rows, Exception):
            raise rows
        views.insert(connection, view, [{"as_of": at, "window_s": window_s, **row} for row in rows])

    def age_s(self, view, at):
        return self.age


def busy(bytes_in, broker="1"):
    return {"cluster": "demo", "resource": f"demo/broker/{broker}", "broker": broker, "bytes_in_per_s": bytes_in}


def test_a_row_carries_numbers_parameters_evidence_and_the_views_behind_it():
    verdict = engine.evaluate(pages.parse(PAGE, "p"), Shown(broker_load=[busy(200.0), busy(3.0, "2")]), AT)
    first, second = sorted(verdict.rows, key=lambda row: row.resource)
    assert (first.fired, first.observed, first.limit, first.score) == (True, 200.0, 100.0, 2.0)
    assert first.params == {"broker": "1"}
    assert first.evidence == {"asked_at": "2026-03-04T05:06:07.000Z"}
    assert [row["resource"] for row in first.views["broker_load"]] == ["demo/broker/1", "demo/broker/2"]
    assert first.views["broker_load"][0]["as_of"] == "2026-03-04T05:06:07.000Z"
    assert (second.fired, second.views) == (False, {})


def test_an_unknown_number_is_neither_fired_nor_not():
    verdict = engine.evaluate(pages.parse(PAGE, "p"), Shown(broker_load=[busy(None)]), AT)
    assert [(row.fired, row.observed) for row in verdict.rows] == [(None, None)]


def test_no_data_is_a_reason_and_no_exception():
    for trouble in (NoData("the exporter is gone"), duckdb.IOException("the exporter is gone")):
        verdict = engine.evaluate(pages.parse(PAGE, "p"), Shown(broker_load=trouble), AT)
        assert verdict.rows == ()
        assert verdict.silent_reason.startswith("no data for broker_load: ")
        assert "the exporter is gone" in verdict.silent_reason


def test_too_little_data_says_how_much_is_missing():
    verdict = engine.evaluate(pages.parse(page(("min_age: 1m", "min_age: 5m")), "p"), Shown(age_s=120), AT)
    assert verdict.silent_reason == "needs 3 minutes more of data"


def test_where_nothing_has_come_at_all_waiting_is_not_promised_to_help():
    verdict = engine.evaluate(pages.parse(page(("min_age: 1m", "min_age: 5m")), "p"), Shown(age_s=0), AT)
    assert verdict.silent_reason == "needs 5 minutes of data for broker_load, and none has come yet"


def test_time_scale_divides_the_window_and_the_age():
    source = Shown(age_s=20, broker_load=[busy(200.0)])
    assert engine.evaluate(pages.parse(PAGE, "p"), source, AT, time_scale=4).rows[0].fired
    assert source.filled[0] == ("broker_load", 15.0)


def test_thresholds_can_be_overridden_and_change_the_hash():
    source = Shown(broker_load=[busy(200.0)])
    plain = engine.evaluate(pages.parse(PAGE, "p"), source, AT)
    raised = engine.evaluate(pages.parse(PAGE, "p"), source, AT, thresholds={"floor": 500.0})
    assert (plain.rows[0].fired, raised.rows[0].fired) == (True, False)
    assert plain.query_hash != raised.query_hash


def test_a_rule_for_another_kind_of_cluster_says_so():
    only = pages.parse(page(("kinds: [bundled, automq, kafka]", "kinds: [bundled]")), "p")
    broker = {"cluster": "demo", "resource": "demo/broker/1", "broker": "1", "kind": "kafka"}
    verdict = engine.evaluate(only, Shown(broker_load=[busy(200.0)], broker=[broker]), AT)
    assert verdict.silent_reason == "a rule for bundled clusters only"


def test_a_view_is_filled_once_for_all_pages_of_a_round():
    source = Shown(broker_load=[busy(200.0)])
    with Workspace(source, AT) as workspace:
        for _ in range(3):
            workspace.evaluate(pages.parse(PAGE, "p"))
    assert source.filled.count(("broker_load", 60.0)) == 1


def test_two_rows_for_one_candidate_are_refused():
    with pytest.raises(QueryError, match="one row per candidate, but 'demo/broker/1'"):
        engine.evaluate(pages.parse(PAGE, "p"), Shown(broker_load=[busy(1.0), busy(2.0)]), AT)


def test_an_endless_query_is_stopped():
    endless = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r)"
    text = with_query(f"{endless} SELECT 'x' AS resource, {COLUMNS} FROM (SELECT max(n) FROM r)")
    began = time.monotonic()
    with pytest.raises(QueryError, match=r"TST-01: the query was stopped after 0\.2 s"):
        Workspace(Shown(), AT, timeout_s=0.2).evaluate(pages.parse(text, "p"))
    assert time.monotonic() - began < 30


def test_a_query_that_wants_too_much_memory_is_a_failed_query():
    hungry = "(SELECT list(a.range || b.range) AS l FROM range(100000) a, range(100000) b)"
    with pytest.raises(QueryError, match=r"TST-01: the query (failed: Out of Memory|was stopped)"):
        engine.evaluate(
            pages.parse(with_query(f"SELECT 'x' AS resource, {COLUMNS}, len(l) AS n FROM {hungry}"), "p"), Shown(), AT
        )


def test_a_select_that_writes_is_stopped_by_the_transaction():
    writes = "WITH w AS (INSERT INTO broker_load(resource) VALUES ('a') RETURNING 1)"
    source = Shown(broker_load=[busy(1.0)])
    with Workspace(source, AT) as workspace:
        with pytest.raises(QueryError, match="read-only"):
            workspace.evaluate(pages.parse(with_query(f"{writes} SELECT 'x' AS resource, {COLUMNS} FROM w"), "p"))
        assert len(workspace.rows("broker_load", 60.0)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{}/stolen.csv'",
        "ATTACH '{}/other.db'",
        "SELECT * FROM read_text('{}/secret')",
        "INSTALL httpfs",
        "SET threads = 8",
        "SET enable_external_access = true",
        "SELECT * FROM secret",
    ],
)
def test_nothing_inside_reaches_outside(statement, tmp_path):
    (tmp_path / "secret").write_text("secret")
    secret = {"a": [1]}  # a Python object that DuckDB would find by its name, if it were let
    with sandbox.database() as connection, pytest.raises(duckdb.Error):
        connection.execute(statement.format(tmp_path))
    assert secret
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_waiting_times_are_words():
    assert [engine.words(seconds) for seconds in (0.2, 59, 61, 3_600, 90_000)] == [
        "1 second", "59 seconds", "2 minutes", "1 hour", "2 days",
    ]  # fmt: skip
