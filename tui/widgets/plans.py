"""Plans: the list, and the chosen one as a diff: load before and after, moves, steps, what to run instead."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from agent.model.plan import Outlook, Plan, Step
from tui.amounts import bar, money, rate
from tui.client import Picture
from tui.palette import ACCENT, BAD, GOOD, INK, QUIET, STATES, WARN

BAR_CELLS = ((140, 22), (120, 12))
"""From so many columns of the terminal on, so long a bar; in a narrower one amounts come without."""
MOVES_SHOWN = 14
_MARKS = {
    "pending": ("○", QUIET),
    "journaled": ("◐", WARN),
    "done": ("●", GOOD),
    "failed": ("✕", BAD),
    "undone": ("↩", QUIET),
}


class Plans(Horizontal):
    """A master and a diff."""

    def __init__(self) -> None:
        super().__init__(id="plans-pane")
        self._plans: tuple[Plan, ...] = ()

    def compose(self) -> ComposeResult:
        yield OptionList(id="plans")
        with VerticalScroll(id="plan-detail", can_focus=True):
            yield Static(id="plan")

    def on_mount(self) -> None:
        self.query_one("#plans").border_title = "plans"
        self.query_one("#plan-detail").border_title = "diff"

    def show(self, picture: Picture) -> None:
        """The list again, with the same one chosen."""
        chosen = self.chosen
        self._plans = picture.plans
        options = self.query_one("#plans", OptionList)
        options.clear_options()
        options.add_options([Option(_line(plan), id=plan.id) for plan in self._plans])
        if self._plans:
            ids = [plan.id for plan in self._plans]
            options.highlighted = ids.index(chosen.id) if chosen and chosen.id in ids else 0
        self._show_detail()

    @property
    def chosen(self) -> Plan | None:
        """The plan under the cursor."""
        place = self.query_one("#plans", OptionList).highlighted
        return self._plans[place] if place is not None and place < len(self._plans) else None

    def on_option_list_option_highlighted(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        plan = self.chosen
        nothing = Text("no plan yet\n\nchoose a finding and press p", style=QUIET)
        self.query_one("#plan", Static).update(
            diff(plan, bar_cells=_bar_cells(self.app.size.width)) if plan else nothing
        )


def _line(plan: Plan) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {plan.state.replace('_', ' ')} ", style=f"bold {STATES[plan.state]}")
    text.append(f"{plan.title}\n", style=f"bold {INK}")
    text.append(f"    {plan.id} · {len(plan.steps)} steps", style=QUIET)
    return text


def _bar_cells(width: int) -> int:
    return next((cells for columns, cells in BAR_CELLS if width >= columns), 0)


def diff(plan: Plan, *, bar_cells: int) -> Group:
    """The whole plan, for a person who is about to approve it."""
    head = Text()
    head.append(f"{plan.title}\n", style=f"bold {INK}")
    head.append(f"{plan.state.replace('_', ' ')}", style=f"bold {STATES[plan.state]}")
    head.append(f"   {plan.id}   expires {plan.expires_at.astimezone():%H:%M:%S}\n", style=QUIET)
    if plan.outcome:
        head.append(f"{plan.outcome}\n", style=STATES[plan.state])
    parts: list[Text | Table] = [
        head,
        _key(plan),
        load_table(plan, bar_cells),
        _skew(plan),
        _moves(plan),
        Text(),
        _steps(plan),
    ]
    parts.append(Text(f"\nrisk  {plan.risk}\n", style=QUIET))
    commands = [command for step in plan.steps for command in step.commands]
    if commands:
        parts.append(Text("or run it yourself\n", style=f"bold {INK}"))
        parts += [Text(command, style=QUIET) for command in commands]
    for approval in plan.approvals:
        parts.append(
            Text(f"\napproved by {approval.by} at {approval.at.astimezone():%H:%M:%S}  {approval.note}", style=QUIET)
        )
    return Group(*parts)


def _key(plan: Plan) -> Text:
    text = Text("\n")
    if plan.state == "proposed":
        text.append(" a ", style=f"bold reverse {ACCENT}").append(" approve   ", style=INK)
        text.append(" x ", style=f"reverse {QUIET}").append(" reject\n", style=QUIET)
    elif plan.state in {"verified", "failed"}:
        text.append(" r ", style=f"bold reverse {WARN}").append(
            " roll back to the exact state from before\n", style=INK
        )
    return text


def load_table(plan: Plan, bar_cells: int) -> Table:
    """Bytes written per broker: now, as predicted, and as measured once there is such a thing."""
    after = plan.measured or plan.after
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("broker", no_wrap=True)
    for title in ("before", "measured" if plan.measured else "predicted"):
        table.add_column(title, justify="right", no_wrap=True)
        if bar_cells:
            table.add_column("", no_wrap=True)
    was, will = plan.before.broker_bytes_per_s, after.broker_bytes_per_s
    top = max([*was.values(), *will.values(), 1.0])
    for broker in sorted({*was, *will}, key=_numerically):
        before, then = was.get(broker, 0.0), will.get(broker, 0.0)
        cells = [Text(broker, style=f"bold {INK}")]
        for value, outlook in ((before, plan.before), (then, after)):
            heat = _heat(value, outlook)
            cells.append(Text(rate(value), style=INK if bar_cells else heat))
            cells += [Text(bar(value, top, bar_cells), style=heat)] if bar_cells else []
        table.add_row(*cells)
    return table


def _heat(value: float, outlook: Outlook) -> str:
    loads = outlook.broker_bytes_per_s
    mean = sum(loads.values()) / len(loads) if loads else 0.0
    return WARN if mean and value > 1.25 * mean else ACCENT


def _skew(plan: Plan) -> Text:
    text = Text("\nbusiest over mean  ", style=QUIET)
    text.append(f"{plan.before.busiest_over_mean:.2f}", style=f"bold {WARN}")
    text.append("  →  ", style=QUIET)
    text.append(f"{plan.after.busiest_over_mean:.2f}", style=f"bold {GOOD}")
    if plan.measured:
        text.append("   measured ", style=QUIET)
        text.append(f"{plan.measured.busiest_over_mean:.2f}", style=f"bold {GOOD}")
    text.append("      money  ", style=QUIET)
    saved = "does not move" if plan.usd_per_month is None else f"{money(plan.usd_per_month)} a month"
    text.append(f"{saved}\n", style=f"bold {INK}")
    return text


def _moves(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    for title in ("partition", "now on", "", "then on"):
        table.add_column(title, no_wrap=True)
    was, will = plan.before.assignment, plan.after.assignment
    moved = [name for name in sorted({*was, *will}) if was.get(name) != will.get(name)]
    for name in moved[:MOVES_SHOWN]:
        table.add_row(
            Text(name, style=INK),
            Text(_owners(was.get(name)), style=BAD),
            Text("→", style=QUIET),
            Text(_owners(will.get(name)), style=GOOD),
        )
    if len(moved) > MOVES_SHOWN:
        table.add_row(Text(f"and {len(moved) - MOVES_SHOWN} more", style=QUIET), "", "", "")
    return table


def _steps(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET, title_justify="left")
    for title in ("", "step", "on", "kind", "done when"):
        table.add_column(title, overflow="fold")
    for step in plan.steps:
        table.add_row(*_step(step))
    return table


def _step(step: Step) -> tuple[Text, ...]:
    mark, style = _MARKS[step.state]
    return (
        Text(mark, style=f"bold {style}"),
        Text(f"{step.n}. {step.action}", style=INK),
        Text(step.target.partition("/")[2], style=INK),
        Text(step.step_class, style=GOOD if step.step_class == "reversible" else BAD),
        Text(step.success_test, style=QUIET),
    )


def _owners(replicas: list[int] | None) -> str:
    return ", ".join(map(str, replicas)) if replicas else "–"


def _numerically(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 30, name)
