"""Foreign SQL in a process of its own: what it may ask, and what ends it."""

import time

import pytest

from agent.store.sqlbox import SqlLimits, SqlRefused, SqlTable, run

ROWS = [
    {"broker": "1", "at": "2026-11-22T12:00:00Z", "load": 2.5, "peers": ["2", "3"]},
    {"broker": "2", "at": None, "load": None, "peers": []},
]
COLUMNS = {"broker": "VARCHAR", "at": "TIMESTAMPTZ", "load": "DOUBLE", "peers": "VARCHAR[]"}


def tables(name: str) -> SqlTable | None:
    return SqlTable(columns=COLUMNS, rows=ROWS) if name == "broker" else None


def test_a_select_reads_the_tables_it_names() -> None:
    answer = run('SELECT broker, "at", load, peers FROM broker ORDER BY broker', tables)
    assert answer.columns == ("broker", "at", "load", "peers")
    assert answer.rows == (("1", "2026-11-22T12:00:00Z", 2.5, ["2", "3"]), ("2", None, None, []))
    assert not answer.truncated


def test_rows_over_the_cap_are_cut_and_said() -> None:
    answer = run("SELECT * FROM range(50)", tables, SqlLimits(most_rows=10))
    assert (len(answer.rows), answer.truncated) == (10, True)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("CREATE TABLE x (a INT)", "one SELECT"),
        ("COPY (SELECT 1) TO 'x.csv'", "one SELECT"),
        ("SELECT * FROM nothing_here", "no table 'nothing_here'"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT * FROM '/etc/passwd'", "no table"),
        ("SELEC 1", "syntax error"),
    ],
)
def test_what_is_not_one_select_over_known_tables_is_refused(sql: str, why: str) -> None:
    with pytest.raises(SqlRefused, match=why):
        run(sql, tables)


def test_memory_has_an_end_where_duckdb_s_own_limit_does_not_hold() -> None:
    with pytest.raises(SqlRefused):
        run("SELECT length(repeat('x', 2000000000))", tables)


def test_a_query_without_end_is_ended_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(SqlRefused, match=r"was stopped|over a limit"):
        run("SELECT count(*) FROM range(1000000000000) a, range(100) b", tables, SqlLimits(time_s=1.0))
    assert time.monotonic() - began < 30
