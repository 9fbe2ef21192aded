"""Numbers as Prometheus writes them."""

from __future__ import annotations

import math

import numpy as np


def go_float(value: float) -> str:
    """The shortest digits that read back as `value`, never with an exponent: Go's FormatFloat(v, 'f', -1, 64)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")


def parse_bound(text: str) -> float | None:
    """A histogram's `le`; None where it is no number."""
    try:
        return float(text.replace("_", "x"))
    except ValueError:
        return None
