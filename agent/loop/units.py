"""`5s`, `15d`, `10GiB` to numbers: how durations and sizes are written in configuration."""

from __future__ import annotations

import re
from typing import Any

from agent.loop.refused import Refused

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


def seconds_of(value: Any, key: str) -> float:
    """`5s` is 5.0; a bare number is seconds."""
    return _number(value, {"": 1.0, **_SECONDS}, key, "5s, 10m, 15d")


def bytes_of(value: Any, key: str) -> int:
    """`10GiB` is 10 x 2^30; a bare number is bytes."""
    return int(_number(value, {name: float(factor) for name, factor in _BYTES.items()}, key, "512MiB, 10GiB"))


def _number(value: Any, units: dict[str, float], key: str, examples: str) -> float:
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(value))
    if not found or found[2].lower() not in units:
        raise Refused(f"{key} = {value!r} is not understood", f"write it like {examples}")
    return float(found[1]) * units[found[2].lower()]
