"""Plain tables and amounts for a terminal: aligned, with units, readable without colour."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def put(text: str) -> None:
    """Data, on stdout."""
    sys.stdout.write(text + "\n")


def put_json(value: Any) -> None:
    """JSON, on stdout."""
    put(json.dumps(value, indent=2, sort_keys=False))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Columns as wide as their widest cell; `right` names the titles whose cells align right, comma separated."""
    aligned_right = set(right.split(","))
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if title in aligned_right else cell.ljust(width)
            for cell, width, title in zip(cells, widths, titles, strict=True)
        ).rstrip()

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
