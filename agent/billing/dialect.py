"""A dialect: which columns a bill's file must have, and SQL for each FOCUS 1.2 column from the ones it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Present = Mapping[str, str]
"""The file's columns in lower case, with their DuckDB types."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    name: str
    required: tuple[str, ...]
    """Columns without which a file is not of this dialect."""
    filled: tuple[str, ...]
    """Columns whose every cell must have a value."""
    numbers: tuple[str, ...]
    times: tuple[str, ...]
    cell: Callable[[str, Present], str | None]
    """SQL of a FOCUS column; None where the file cannot tell it."""


def first_of(names: tuple[str, ...], present: Present) -> str | None:
    """The first of some columns that the file has."""
    return next((f'"{name}"' for name in names if name.lower() in present), None)


def number(column: str) -> str:
    """A cell as a number; NULL where it is none."""
    return f"try_cast({column} AS DOUBLE)"


def moment(column: str) -> str:
    """A cell as a time: `2026-11-01T00:00Z` (Azure), `2026-11-01 00:00:00 UTC` (BigQuery) and ISO 8601 alike."""
    return f"try_cast({column}::VARCHAR AS TIMESTAMPTZ)"


def tags(column: str, kind: str) -> str:
    """Tags as a JSON object: from a map, BigQuery's list of (key, value), JSON text, or Azure's text without braces."""
    if kind.startswith("MAP"):
        return f"to_json({column})::VARCHAR"
    if kind.endswith("[]"):
        pairs = f"list_transform({column}, lambda t: {{'key': t.key, 'value': t.value}})"
        return f"to_json(map_from_entries({pairs}))::VARCHAR"
    if kind.startswith("STRUCT"):
        return f"to_json({column})::VARCHAR"
    text = f"trim({column}::VARCHAR)"
    braced = f"CASE WHEN starts_with({text}, '\"') THEN '{{' || {text} || '}}' ELSE {text} END"
    listed = (
        f"CASE WHEN starts_with({text}, '[') THEN "
        f'to_json(map_from_entries(from_json({text}, \'[{{"key":"VARCHAR","value":"VARCHAR"}}]\')))::VARCHAR '
        f"ELSE {braced} END"
    )
    return f"CASE WHEN json_valid({braced}) THEN {listed} END"
