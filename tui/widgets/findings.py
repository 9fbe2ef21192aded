"""Findings: the list on the left, and what the chosen one rests on at the right."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from agent.model.finding import Evidence, Risk, Silence
from tui.amounts import ago, money
from tui.client import Picture
from tui.palette import ACCENT, GOOD, INK, LEVELS, QUIET

EVIDENCE_ROWS = 8
EVIDENCE_COLUMNS = 6
_PLUMBING = frozenset({"cluster", "resource", "as_of", "window_s", "data_age_s"})


class Findings(Horizontal):
    """A master and a detail."""

    def __init__(self) -> None:
        super().__init__(id="findings-pane")
        self._risks: tuple[Risk, ...] = ()
        self._silences: tuple[Silence, ...] = ()
        self._now = datetime.fromtimestamp(0, UTC)

    def compose(self) -> ComposeResult:
        yield OptionList(id="findings")
        with VerticalScroll(id="finding-detail", can_focus=True):
            yield Static(id="finding")

    def on_mount(self) -> None:
        self.query_one("#findings").border_title = "findings"
        self.query_one("#finding-detail").border_title = "evidence"

    def show(self, picture: Picture) -> None:
        """The list again, with the same one chosen."""
        chosen = self.chosen
        self._now = datetime.fromisoformat(picture.status["now"])
        self._risks, self._silences = picture.risks, picture.silences
        options = self.query_one("#findings", OptionList)
        options.clear_options()
        options.add_options([Option(_line(risk, self._now), id=risk.id) for risk in self._risks])
        if self._risks:
            ids = [risk.id for risk in self._risks]
            options.highlighted = ids.index(chosen.id) if chosen and chosen.id in ids else 0
        self._show_detail()

    @property
    def chosen(self) -> Risk | None:
        """The risk under the cursor."""
        place = self.query_one("#findings", OptionList).highlighted
        return self._risks[place] if place is not None and place < len(self._risks) else None

    def on_option_list_option_highlighted(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        risk = self.chosen
        body = detail(risk, self._now) if risk else quiet(self._silences)
        self.query_one("#finding", Static).update(body)


def _line(risk: Risk, now: datetime) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {risk.level} ", style=f"bold {LEVELS[risk.level]}")
    text.append(f"{risk.rule:<7}", style=INK)
    text.append(f"{risk.resource.partition('/')[2]}\n", style=f"bold {INK}")
    text.append(f"    {risk.title}\n", style=QUIET)
    cost = f" · {money(risk.latest.usd_per_month)} a month" if risk.latest.usd_per_month is not None else ""
    text.append(f"    since {ago(risk.first_seen, now)} · seen {risk.count} ×{cost}", style=QUIET)
    return text


def detail(risk: Risk, now: datetime) -> Group:
    """Everything about one risk."""
    head = Text()
    head.append(f"{risk.level} {risk.rule}  ", style=f"bold {LEVELS[risk.level]}")
    head.append(f"{risk.title}\n", style=f"bold {INK}")
    head.append(f"{risk.resource}\n", style=ACCENT)
    head.append(
        f"first {ago(risk.first_seen, now)}, last {ago(risk.last_seen, now)}, seen {risk.count} times\n", style=QUIET
    )
    finding = risk.latest
    facts = Text()
    for name, value in (
        ("observed", _number(finding.observed, finding.unit)),
        ("limit", _number(finding.limit, finding.unit)),
        ("score", f"{finding.score:.2f}"),
        ("confidence", f"{100 * finding.confidence:.0f} %"),
        ("a month", money(finding.usd_per_month)),
    ):
        facts.append(f"{name}\u00a0", style=QUIET).append(value.replace(" ", "\u00a0"), style=f"bold {INK}").append(
            "   "
        )
    parts: list[Text | Table] = [head, facts, _prose(risk.explanation)]
    parts.append(Text(f"action  {risk.action}   (p makes a plan)\n", style=QUIET))
    for evidence in finding.evidence:
        parts += _evidence(evidence)
    return Group(*parts)


def _prose(explanation: str) -> Text:
    """The explanation without its headline, which is above already; what a line is about stands out."""
    text = Text("\n")
    for line in explanation.split("\n")[1:] or [explanation]:
        label, colon, rest = line.partition(":")
        if colon and len(label) < 24 and label[:1].isupper():
            text.append(f"{label}", style=ACCENT)
            line = f":{rest}"
        text.append(f"{line}\n", style=INK)
    return text


def _evidence(evidence: Evidence) -> list[Text | Table]:
    title = Text(f"\nevidence: {evidence.view}", style=f"bold {INK}")
    title.append(f"  as of {evidence.as_of:%H:%M:%S}Z, query {evidence.query_hash[:12]}", style=QUIET)
    names = [name for name in (evidence.rows[0] if evidence.rows else {}) if name not in _PLUMBING]
    known = [name for name in names if any(row.get(name) is not None for row in evidence.rows)][:EVIDENCE_COLUMNS]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    for name in known:
        numeric = all(isinstance(row.get(name), int | float | None) for row in evidence.rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True, overflow="ellipsis")
    for row in evidence.rows[:EVIDENCE_ROWS]:
        table.add_row(*(Text(_number(row.get(name), ""), style=INK) for name in known))
    left_out = len(evidence.rows) - EVIDENCE_ROWS
    return [title, table, *([Text(f"and {left_out} more rows", style=QUIET)] if left_out > 0 else [])]


def quiet(silences: tuple[Silence, ...]) -> Group:
    """What to show when nothing is wrong: why each rule is silent."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    for title in ("rule", "why it is silent", "nearest"):
        table.add_column(title)
    for silence in silences:
        near = f"{silence.nearest} at {silence.score:.2f}" if silence.nearest and silence.score is not None else ""
        table.add_row(Text(silence.rule, style=INK), Text(silence.reason, style=QUIET), Text(near, style=QUIET))
    return Group(Text("nothing is wrong\n", style=f"bold {GOOD}"), table)


def _number(value: object, unit: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.3g}"
    return f"{text} {unit}".rstrip()
