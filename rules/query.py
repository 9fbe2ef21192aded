"""What a query must be before it is ever run on a cluster: one SELECT, no clock, its thresholds and columns in order.

Checked once, when the page is loaded, against empty views: a mistake in a page is told to its author by file and line,
and not to the person on call.
"""

from __future__ import annotations

import re

import duckdb

from rules import engine, sandbox
from rules.errors import PageError, QueryError
from rules.page import RulePage
from rules.views import VIEWS

_NOT_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_HIDDEN_INPUT = re.compile(
    r"\b(now|random|setseed|uuid|gen_random_uuid|current_timestamp|current_date|current_time|localtimestamp|localtime"
    r"|today|get_current_timestamp|get_current_time|transaction_timestamp)\b",
    re.IGNORECASE,
)


def check(page: RulePage) -> RulePage:
    """The page itself; PageError where its query is not what a page may ask."""
    with sandbox_of(page) as connection:
        _one_select(page, connection)
        _no_clock(page)
        _thresholds_both_ways(page, connection)
        try:
            engine.candidate_rows(connection, page, page.bind())
        except QueryError as error:
            raise _refuse(page, str(error).removeprefix(f"{page.id}: ")) from error
    return page


def sandbox_of(page: RulePage) -> duckdb.DuckDBPyConnection:
    """A database with the views that the page needs, and nothing in them."""
    connection = sandbox.database()
    for view in page.needs:
        connection.execute(VIEWS[view].ddl)
    return connection


def _refuse(page: RulePage, message: str) -> PageError:
    return PageError(page.source, page.query_line, f"{page.id}: {message}")


def _one_select(page: RulePage, connection: duckdb.DuckDBPyConnection) -> None:
    try:
        statements = connection.extract_statements(page.query)
    except duckdb.Error as error:
        raise _refuse(page, f"the query is not SQL: {sandbox.first_line(error)}") from error
    if len(statements) != 1:
        raise _refuse(page, f"the query has {len(statements)} statements; it must be exactly one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise _refuse(page, f"the query is a {statements[0].type.name}; it must be a SELECT")


def _no_clock(page: RulePage) -> None:
    if found := _HIDDEN_INPUT.search(_NOT_CODE.sub(" ", page.query)):
        raise _refuse(page, f"the query uses `{found[1]}`; rules see no clock and no chance: use `as_of`")


def _thresholds_both_ways(page: RulePage, connection: duckdb.DuckDBPyConnection) -> None:
    used = set(connection.extract_statements(page.query)[0].named_parameters)
    declared = page.thresholds.keys()
    if undeclared := sorted(used - declared):
        raise _refuse(page, f"the query uses `${undeclared[0]}`, which `thresholds` does not declare")
    if unused := sorted(declared - used):
        raise _refuse(page, f"threshold `{unused[0]}` is declared and not used; use `${unused[0]}` or drop it")
