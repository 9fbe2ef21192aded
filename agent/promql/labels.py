"""Labels of many series as columns: each label is an array of small numbers and the texts behind them.

Grouping ten thousand series by a label is then arithmetic on one array; texts are touched once per distinct value.
Laws: number 0 is the empty text, which in PromQL means that the label is absent; a table is never changed in place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAME = "__name__"
_MOST_KEY = 1 << 40
"""Combined keys beyond it are renumbered before the next column is folded in."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One label of all rows."""

    codes: NDArray[np.int32]
    values: tuple[str, ...]
    """Text by code; the first is empty."""

    @staticmethod
    def of(texts: Sequence[str]) -> Column:
        """A column from one text a row."""
        numbers: dict[str, int] = {"": 0}
        codes = [numbers.setdefault(text, len(numbers)) for text in texts]
        return Column(codes=np.array(codes, dtype=np.int32), values=tuple(numbers))

    def text(self, row: int) -> str:
        """The label's value in a row; empty: absent."""
        return self.values[int(self.codes[row])]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelTable:
    """The labels of `rows` series, the metric name among them as `__name__`."""

    rows: int
    columns: Mapping[str, Column]

    @staticmethod
    def of(rows: Sequence[Mapping[str, str]]) -> LabelTable:
        """A table from one mapping a row."""
        names = sorted({name for row in rows for name in row})
        return LabelTable(
            rows=len(rows), columns={name: Column.of([row.get(name, "") for row in rows]) for name in names}
        )

    def row(self, number: int) -> dict[str, str]:
        """The labels that a series has, by name."""
        found = {name: column.text(number) for name, column in sorted(self.columns.items())}
        return {name: text for name, text in found.items() if text}

    def texts(self, name: str) -> list[str]:
        """A label's value in each row; empty where absent."""
        column = self.columns.get(name)
        return [""] * self.rows if column is None else [column.values[code] for code in column.codes]

    def take(self, rows: NDArray[np.intp]) -> LabelTable:
        """Some rows, in the order asked for."""
        return LabelTable(
            rows=len(rows),
            columns={n: Column(codes=c.codes[rows], values=c.values) for n, c in self.columns.items()},
        )

    def keep(self, names: Collection[str]) -> LabelTable:
        """Only these labels."""
        return LabelTable(rows=self.rows, columns={n: c for n, c in self.columns.items() if n in names})

    def drop(self, names: Collection[str]) -> LabelTable:
        """All but these labels."""
        return LabelTable(rows=self.rows, columns={n: c for n, c in self.columns.items() if n not in names})

    def with_column(self, name: str, column: Column) -> LabelTable:
        """One label set anew."""
        return LabelTable(rows=self.rows, columns={**self.columns, name: column})

    def groups(self) -> Groups:
        """Rows with equal labels, numbered in the order of their first row."""
        key = np.zeros(self.rows, dtype=np.int64)
        span = 1
        for column in self.columns.values():
            if span * len(column.values) > _MOST_KEY:
                distinct, key = np.unique(key, return_inverse=True)
                span = len(distinct)
            key = key * len(column.values) + column.codes
            span *= len(column.values)
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty(len(first), dtype=np.intp)
        rank[order] = np.arange(len(first))
        return Groups(of=rank[inverse], first=first[order])


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Which group each row is in, and the first row of each group."""

    of: NDArray[np.intp]
    first: NDArray[np.intp]

    @property
    def count(self) -> int:
        return len(self.first)


def concat(tables: Sequence[LabelTable]) -> LabelTable:
    """All rows of all tables, one after the other."""
    if len(tables) == 1:
        return tables[0]
    names = {name: None for table in tables for name in table.columns}
    rows = sum(table.rows for table in tables)
    return LabelTable(rows=rows, columns={name: _stack(name, tables) for name in names})


def _stack(name: str, tables: Sequence[LabelTable]) -> Column:
    numbers: dict[str, int] = {"": 0}
    parts = []
    for table in tables:
        column = table.columns.get(name)
        if column is None:
            parts.append(np.zeros(table.rows, dtype=np.int32))
            continue
        renumbered = [numbers.setdefault(text, len(numbers)) for text in column.values]
        parts.append(np.array(renumbered, dtype=np.int32)[column.codes])
    return Column(codes=np.concatenate(parts), values=tuple(numbers))


def match(left: LabelTable, right: LabelTable) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Numbers of equal label sets across two tables, and how many there are."""
    groups = concat([left, right]).groups()
    return groups.of[: left.rows], groups.of[left.rows :], groups.count
