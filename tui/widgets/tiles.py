"""The row of figures: one tile each, the number large enough to read from the door."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tui.amounts import UNKNOWN, count, money, rate
from tui.client import Picture
from tui.palette import BAD, GOOD, INK, LEVELS, QUIET, WARN

HOT = 1.25
"""Where a cluster is drawn as out of balance; the rule page decides whether it is a finding."""


class Tiles(Horizontal):
    """Six figures."""

    NAMES = ("written", "read", "requests", "balance", "cost", "findings")

    def compose(self) -> ComposeResult:
        for name in self.NAMES:
            yield Static(_tile(name, UNKNOWN, "", QUIET), id=f"tile-{name}", classes="tile")

    def show(self, picture: Picture) -> None:
        """Redraws every tile."""
        totals, overview = picture.overview["totals"], picture.overview
        skew = totals["busiest_over_mean"]
        figures = {
            "written": (rate(totals["bytes_in_per_s"]), "by producers", INK),
            "read": (rate(totals["bytes_out_per_s"]), "by consumers", INK),
            "requests": (f"{count(totals['requests_per_s'])}/s", f"{count(totals['leaders'])} leaders", INK),
            "balance": (UNKNOWN if skew is None else f"{skew:.2f} ×", "busiest / mean", _heat(skew)),
            "cost": (
                f"{money(overview['usd_per_month'])}",
                f"a month · {money(overview['usd_per_hour'])} an hour",
                INK,
            ),
            "findings": _findings(picture),
        }
        for name, (value, note, style) in figures.items():
            self.query_one(f"#tile-{name}", Static).update(_tile(name, value, note, style))


def _findings(picture: Picture) -> tuple[str, str, str]:
    if not picture.risks:
        return "none", "all quiet", GOOD
    levels = [risk.level for risk in picture.risks]
    note = " · ".join(f"{levels.count(level)} {level}" for level in ("P0", "P1", "P2") if level in levels)
    return str(len(levels)), note, LEVELS[min(levels)]


def _heat(skew: float | None) -> str:
    if skew is None:
        return QUIET
    return GOOD if skew <= HOT else WARN if skew <= 1.6 else BAD


def _tile(name: str, value: str, note: str, style: str) -> Text:
    text = Text(f"{name.upper()}\n", style=QUIET, no_wrap=True, overflow="ellipsis")
    text.append(f"{value}\n", style=f"bold {style}")
    text.append(note, style=QUIET)
    return text
