"""Regular expressions as Prometheus has them: RE2, anchored at both ends. DuckDB brings RE2 along.

Python's `re` backtracks: one pattern from a stranger could hold the agent for minutes. RE2 is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import duckdb

from agent.promql.errors import BadQuery

MOST_GROUPS = 9
"""The highest group number that DuckDB extracts."""
_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


@lru_cache(maxsize=1)
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": "1", "enable_external_access": "false"})


def full_match(pattern: str, texts: Sequence[str]) -> list[bool]:
    """For each text whether the pattern matches all of it; BadQuery for a pattern that is none."""
    rows = _run("SELECT regexp_full_match(t, $p) FROM (SELECT unnest($t::VARCHAR[]) AS t)", pattern, texts)
    return [bool(row[0]) for row in rows]


def replace(pattern: str, template: str, texts: Sequence[str]) -> list[str | None]:
    """For each text the template with `$1`, `${name}` filled in; None where the pattern does not match all of it."""
    matched = full_match(f"(?s:{pattern})", texts)
    names = group_names(pattern)
    wanted = {number for number in _references(template, names) if number}
    groups = {number: _extract(pattern, number, texts) for number in wanted}
    groups[0] = list(texts)

    def fill(row: int) -> str:
        def part(reference: re.Match[str]) -> str:
            if reference[1]:
                return "$"
            number = _number(reference[2] or reference[3], names)
            return "" if number is None else groups[number][row]

        return _REFERENCE.sub(part, template)

    return [fill(row) if yes else None for row, yes in enumerate(matched)]


def group_names(pattern: str) -> list[str]:
    """The capturing groups in order; empty for one without a name."""
    found = []
    at, inside = 0, False
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
        elif inside:
            inside = sign != "]"
        elif sign == "[":
            inside = True
            at += 2 if pattern.startswith("[^]", at) else 1 if pattern.startswith("[]", at) else 0
        elif sign == "(":
            named = re.match(r"\(\?P?<(\w+)>", pattern[at:])
            if named:
                found.append(named[1])
            elif not pattern.startswith("(?", at):
                found.append("")
        at += 1
    return found


def _references(template: str, names: list[str]) -> list[int]:
    found = (_number(each[2] or each[3], names) for each in _REFERENCE.finditer(template) if not each[1])
    return [number for number in found if number is not None]


def _number(reference: str, names: list[str]) -> int | None:
    if reference.isdigit():
        number = int(reference)
        return number if number <= len(names) else None
    return names.index(reference) + 1 if reference in names else None


def _extract(pattern: str, number: int, texts: Sequence[str]) -> list[str]:
    if number > MOST_GROUPS:
        raise BadQuery(f"group ${number} of {pattern!r}: at most ${MOST_GROUPS} can be used in a replacement")
    rows = _run(
        f"SELECT regexp_extract(t, $p, {number}) FROM (SELECT unnest($t::VARCHAR[]) AS t)", f"^(?s:{pattern})$", texts
    )
    return [str(row[0]) for row in rows]


def _run(sql: str, pattern: str, texts: Sequence[str]) -> list[tuple[object, ...]]:
    try:
        return _database().cursor().execute(sql, {"p": pattern, "t": list(texts)}).fetchall()
    except duckdb.Error as error:
        raise BadQuery(f"invalid regular expression {pattern!r}: {str(error).splitlines()[0]}") from error
