"""The line at the top: which cluster, how it is, and whether the agent still answers."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from tui.amounts import money, rate
from tui.client import Picture
from tui.palette import ACCENT, BAD, FAINT, GOOD, INK, LEVELS, QUIET, WARN


class Masthead(Static):
    """One line, always right: it changes first when the agent is lost."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._picture: Picture | None = None
        self._lost = ""
        super().__init__(id="masthead")

    def on_mount(self) -> None:
        self.update(self.line())

    def show(self, picture: Picture) -> None:
        """The agent answered."""
        self._picture, self._lost = picture, ""
        self.update(self.line())

    def show_lost(self, reason: str) -> None:
        """The agent does not answer; what was last seen stays."""
        self._lost = reason
        self.update(self.line())

    def line(self) -> Text:
        """The whole line."""
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("  ▲ streampilot ", style=f"bold {ACCENT}")
        if self._picture:
            self._add_cluster(text, self._picture)
        if self._lost:
            text.append(f"   ● connection lost, trying again: {self._lost}", style=f"bold {BAD}")
        elif not self._picture:
            text.append(f"   ○ calling {self._address}", style=WARN)
        return text

    def _add_cluster(self, text: Text, picture: Picture) -> None:
        totals = picture.overview["totals"]
        text.append(f" {picture.status.get('cluster') or 'cluster'} ", style=f"bold {INK}")
        if not self._lost:
            text.append(" ● live", style=GOOD)
        up, known = totals["up"], totals["brokers"]
        _part(text, "brokers", f"{up}/{known}", GOOD if up == known else BAD)
        # What matters most first: a narrow terminal cuts the end off.
        worst = min((risk.level for risk in picture.risks), default="")
        _part(text, "findings", f"{len(picture.risks)} {worst}".strip(), LEVELS.get(worst, GOOD))
        _part(text, "cost", f"{money(picture.overview['usd_per_hour'])}/h", INK)
        _part(text, "in", rate(totals["bytes_in_per_s"]), INK)
        _part(text, "out", rate(totals["bytes_out_per_s"]), INK)


def _part(text: Text, name: str, value: str, style: str) -> None:
    text.append("  │ ", style=FAINT)
    text.append(f"{name} ", style=QUIET)
    text.append(value, style=style)
