"""Values of the configuration that would pass for something else: a typo is refused, never read as the opposite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from agent.act.actions import ACTIONS
from agent.loop.refused import Refused

LEAST_THROTTLE = 64 << 10
_WORDS = {"true": True, "false": False}


def yes(value: Any, name: str) -> bool:
    """True or false; an environment variable writes them as text. `"no"` is a text, and every text passes for true."""
    found = _WORDS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise Refused(f"{name} = {value!r} is neither true nor false", "write true or false, without quotes")
    return found


def texts(value: Any, name: str) -> tuple[str, ...]:
    """A list of texts; one text alone would be taken letter by letter."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(f"{name} = {value!r} is no list of texts", f'write it like {name.rpartition(".")[2]} = ["..."]')
    return tuple(value)


def actions(value: Any, name: str) -> tuple[str, ...]:
    """Actions that the executor can take: one that it does not know would allow nothing, and not say so."""
    for action in (found := texts(value, name)):
        if action not in ACTIONS:
            near = get_close_matches(action, ACTIONS, n=1, cutoff=0.0)
            raise Refused(f"{name}: {action!r} is no action that can be taken", f"the nearest is {near[0]}")
    return found


def quiet(row: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """A mute or maintenance whose times are times, the end after the beginning: another one would hide nothing."""
    for key in ("from", "until"):
        if key in row and not isinstance(row[key], datetime):
            raise Refused(f"{source}: {key} = {row[key]!r} is no time", f"write it like {key} = 2027-01-01T00:00:00Z")
    if "from" in row and "until" in row and row["until"] <= row["from"]:
        raise Refused(f"{source}: until = {row['until']} is not after from = {row['from']}", "correct one of them")
    return row


def cap(caps: Mapping[str, Any], name: str, usual: int) -> int:
    """A whole number from 1 on: none at all is `mode = "read-only"`."""
    value = caps.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(
            f"act.caps.{name} = {value!r} is no whole number from 1 on", 'mode = "read-only" stops all actions'
        )
    return value


def throttle(bytes_per_s: int) -> int:
    """A rate that a copy can end at."""
    if bytes_per_s < LEAST_THROTTLE:
        raise Refused(
            f"act.throttle is {bytes_per_s} bytes a second, less than copies can end at", "give it 64KiB or more"
        )
    return bytes_per_s


def targets(rows: Any, source: str) -> Iterable[Mapping[str, Any]]:
    """Metrics targets as tables with a URL."""
    example = '{ url = "http://broker1:7071/metrics", broker = 1 }'
    for row in rows:
        url = row.get("url") if isinstance(row, dict) else row
        if not isinstance(row, dict) or not str(url).startswith(("http://", "https://")):
            raise Refused(f"{source}: metrics: {url!r} is no target", f"write each like {example}")
        yield row
