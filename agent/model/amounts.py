"""Amounts as people read them: one form, for the command line and the screen alike."""

from __future__ import annotations


def size(value: float) -> str:
    """`12.3 MiB`; whole bytes below a KiB."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
