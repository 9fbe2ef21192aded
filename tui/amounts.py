"""Numbers as people read them: fixed width, with their unit, a dash where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agent.model import amounts

UNKNOWN = "–"
_BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def rate(value: float | None) -> str:
    """`12.3 MiB/s`."""
    return UNKNOWN if value is None else f"{size(value)}/s"


def size(value: float | None) -> str:
    """`12.3 MiB`."""
    return UNKNOWN if value is None else amounts.size(value)


def money(value: float | None) -> str:
    """`$1,234.56`; more decimals under a dollar, because an hour of a small cluster costs cents."""
    return UNKNOWN if value is None else amounts.money(value)


def count(value: float | None) -> str:
    """`12,345`, or `3.4` under ten."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def percent(value: float | None) -> str:
    """`42 %`."""
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def hours(seconds: float) -> str:
    """`12 min`, `3.2 h`."""
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def ago(at: datetime, now: datetime) -> str:
    """`12 s ago`, `3 min ago`."""
    seconds = max(0.0, (now - at).total_seconds())
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit} ago"
    return f"{seconds / 86400:.0f} d ago"


def sparkline(values: Sequence[float | None], width: int, top: float) -> str:
    """The last `width` values as blocks, scaled to `top` so that lines can be compared; a gap is a space."""
    recent = list(values)[-width:]
    scale = (len(_BLOCKS) - 1) / top if top > 0 else 0.0
    drawn = "".join(
        " " if value is None else _BLOCKS[min(len(_BLOCKS) - 1, round(max(0.0, value) * scale))] for value in recent
    )
    return drawn.rjust(width)


def bar(value: float, top: float, width: int) -> str:
    """A bar of `width` cells at most, to an eighth of a cell."""
    eighths = round(8 * width * min(1.0, max(0.0, value) / top)) if top > 0 else 0
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)
