"""Amounts as people read them: one form, for the command line and the screen alike."""

from __future__ import annotations

from math import floor, log10

CENTS = 2


def size(value: float) -> str:
    """`12.3 MiB`; whole bytes below a KiB."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def plain(value: float) -> str:
    """`1,234.56`; four decimals under one, two digits under a thousandth: little money never reads as none."""
    size = abs(value)
    if size >= 1 or size < 1e-10:
        return f"{value:,.{CENTS}f}"
    return f"{value:.{4 if size >= 0.001 else 1 - floor(log10(size))}f}"


def money(value: float) -> str:
    """`$1,234.56`, `$0.0816`, `$0.0000015`."""
    return f"-${plain(-value)}" if value < 0 else f"${plain(value)}"
