"""How long findings need: from the durations that the agent's own pages state, never from what was planted. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_WAITED_S = 75.0
"""Pages that need more history than this stay silent in a demo, and the agent says so itself."""
DEFAULT_SPAN_S = 240.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def seconds(value: object) -> float:
    """A page's duration: `90`, `"10s"`, `"1m"`; 0 where it has none."""
    if isinstance(value, int | float):
        return float(value)
    found = _DURATION.fullmatch(str(value).strip()) if value else None
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def evaluations(persist: object) -> int:
    """Of `3 of 4`: 4."""
    if isinstance(persist, list | tuple) and persist:
        return int(persist[-1])
    numbers = re.findall(r"\d+", str(persist)) if persist else []
    return int(numbers[-1]) if numbers else 1


def span_s(page: Mapping[str, Any]) -> float:
    """The longest that a page can take to speak of a problem that is there: history, then persistence."""
    history = max(seconds(page.get("window")), seconds(page.get("min_age")))
    return history + seconds(page.get("every")) * evaluations(page.get("persist"))


def longest_s(pages: Iterable[Mapping[str, Any]], time_scale: float) -> float:
    """The longest span, scaled, of those that a demo can wait for."""
    spans = [span_s(page) / time_scale for page in pages]
    waited = [span for span in spans if 0 < span <= LONGEST_WAITED_S]
    return max(waited) if waited else DEFAULT_SPAN_S / time_scale
