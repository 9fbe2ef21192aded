"""Values and names as words. Text from the cluster is data: control characters stripped, length capped, on one line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from agent.model import amounts
from agent.model.finding import Cell

MOST_NAME_CHARACTERS = 120
HOURS_A_MONTH = 730


def clean(text: str, most: int = MOST_NAME_CHARACTERS) -> str:
    """`text` on one line, without control, format or delimiter characters, cut with an ellipsis."""
    kept = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    kept = " ".join(kept.replace("<", "‹").replace(">", "›").split())
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def number(value: float) -> str:
    """Three significant digits, thousands separated, no exponent."""
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 else f"{value:.2g}"


def size(value: float, suffix: str = "") -> str:
    for unit, scale in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(value) >= scale:
            return f"{value / scale:.1f} {unit}{suffix}"
    return f"{value:.0f} B{suffix}"


def duration(seconds: float) -> str:
    for unit, scale in (("days", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * scale:
            return f"{seconds / scale:.1f} {unit}"
    return f"{number(seconds)} s"


def money(usd: float) -> str:
    return amounts.money(usd)


def cell(name: str, value: Cell) -> str:
    """A column's value with the unit that its name carries."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _measure(name, float(value))
    if isinstance(value, list):
        return clean(", ".join(map(str, value)))
    return clean(value)


def _measure(name: str, value: float) -> str:
    if "bytes" in name:
        return size(value, "/s" if name.endswith("_per_s") else "")
    if "usd" in name:
        return money(value)
    if name.endswith("_share"):
        return f"{100 * value:.1f} %"
    if name.endswith("_per_s"):
        return f"{number(value)}/s"
    return duration(value) if name.endswith("_s") else number(value)


def words(name: str) -> str:
    """`mean_bytes_in_per_s` as `mean bytes in`."""
    return re.sub(r"_(per_s|s|usd)$", "", name).replace("_", " ")


def listed(items: Iterable[str]) -> str:
    """`a, b and c`."""
    known = list(items)
    return known[0] if len(known) == 1 else ", ".join(known[:-1]) + " and " + known[-1] if known else ""


def paragraph(markdown: str) -> str:
    """The first paragraph of a section, as one line of plain words."""
    first = markdown.strip().split("\n\n", 1)[0]
    return " ".join(first.replace("**", "").replace("`", "").split())
