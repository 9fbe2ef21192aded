"""Plain tables and amounts for a terminal: aligned, with units, readable without colour."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any


def put(text: str) -> None:
    """Data, on stdout."""
    sys.stdout.write(text + "\n")


def width() -> int:
    """Columns to write prose in: the terminal's, 110 at most; 80 where there is no terminal."""
    return min(110, shutil.get_terminal_size((80, 24)).columns)


def wrapped(text: str, columns: int, indent: str = "") -> str:
    """Prose within so many columns; what follows `- ` or `1. ` stands under its words. No word is broken."""
    lines = []
    for line in text.split("\n"):
        mark = re.match(r"(?:- |\d+\. )?", line)
        under = indent + " " * len(mark[0] if mark else "")
        lines += textwrap.wrap(
            line,
            max(20, columns),
            initial_indent=indent,
            subsequent_indent=under,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def put_json(value: Any) -> None:
    """JSON, on stdout."""
    put(json.dumps(value, indent=2, sort_keys=False))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: str = "", columns: int = 0) -> str:
    """Columns as wide as their widest cell; `right` names the titles whose cells align right, comma separated.

    With `columns` the last cell of a line goes on below, under itself, where the line would be longer than that.
    """
    aligned_right = set(right.split(","))
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]

    before = sum(widths[:-1]) + 2 * (len(widths) - 1)

    def line(cells: Sequence[str]) -> str:
        *firsts, last = (
            cell.rjust(width) if title in aligned_right else cell.ljust(width)
            for cell, width, title in zip(cells, widths, titles, strict=True)
        )
        room = max(20, columns - before)
        parts = textwrap.wrap(last, room) if columns and len(last.rstrip()) > room else [last]
        return f"\n{' ' * before}".join(["  ".join([*firsts, parts[0]]).rstrip(), *parts[1:]])

    return "\n".join([line(titles), *(line(row) for row in rows)])


def rate(value: float | None) -> str:
    """`12.3 MiB/s`; a dash where it is not known."""
    return "-" if value is None else f"{size(value)}/s"


def size(value: float | None) -> str:
    """`12.3 MiB`; a dash where it is not known."""
    from agent.model import amounts

    return "-" if value is None else amounts.size(value)


def money(value: float | None) -> str:
    """`$1,234.56`; a dash where it is not known."""
    from agent.model import amounts

    return "-" if value is None else amounts.money(value)


def share(value: float | None) -> str:
    """`42 %`."""
    return "-" if value is None else f"{100 * value:.0f} %"


def seconds(value: float | None) -> str:
    """`3.2 s`, `5.0 min`, `2.1 h`."""
    if value is None:
        return "-"
    for limit, divisor, unit in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if abs(value) < limit:
            return f"{value / divisor:.1f} {unit}"
    return f"{value / 86400:.1f} d"


def number(value: float | None) -> str:
    """`12,345`."""
    return "-" if value is None else f"{value:,.0f}"
