"""Cost: by whom, this month so far, what open findings are worth, and the meter against the bill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import DataTable, Static

from agent.model.finding import Risk
from tui.amounts import bar, hours, money, percent
from tui.client import Costs, Picture
from tui.palette import ACCENT, BAD, INK, QUIET, WARN

WAYS = ("component", "topic", "client", "group", "zone")
BAR_CELLS = 20
NAME_CELLS = 28
"""Longer names are cut in the middle, so that the amounts stay on a narrow screen."""
WORTH_SHOWN = 3
APART = 0.1
"""Where the meter and the bill are drawn as apart; the page of CST-02 decides whether it is a finding."""


class CostsPane(Vertical):
    """Figures, a table by one way of counting, and the bill."""

    def __init__(self) -> None:
        super().__init__(id="costs-pane")
        self.by = WAYS[0]
        self._costs: Costs | None = None
        self._risks: tuple[Risk, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="cost-figures")
        yield DataTable(id="costs", cursor_type="row")
        with VerticalScroll(id="cost-bill-box"):
            yield Static(id="cost-bill")

    def on_mount(self) -> None:
        table = self.query_one("#costs", DataTable)
        for title in ("name", "per hour", "a month", "share"):
            table.add_column(Text(title, style=QUIET, justify="left" if title == "name" else "right"), key=title)
        table.add_column("", key="bar")
        self.query_one("#cost-figures").border_title = "cost"
        self.query_one("#cost-bill-box").border_title = "meter against bill"
        self._draw()

    def turn(self) -> str:
        """The next way of counting; what is on the screen stays until it has come."""
        self.by = WAYS[(WAYS.index(self.by) + 1) % len(WAYS)]
        self._draw()
        return self.by

    def show(self, picture: Picture) -> None:
        """What the findings are worth."""
        self._risks = picture.risks
        self._draw()

    def show_costs(self, costs: Costs) -> None:
        """New amounts; those of a way that was left meanwhile are passed over."""
        if costs.by == self.by:
            self._costs = costs
            self._draw()

    def _draw(self) -> None:
        if not self.is_mounted or not self.query("#cost-bill"):
            return
        table = self.query_one("#costs", DataTable)
        following = WAYS[(WAYS.index(self.by) + 1) % len(WAYS)]
        table.border_title = f"by {self.by}   (b: by {following})"
        found = self._costs
        self.query_one("#cost-figures", Static).update(figures(found, self._risks))
        if found is None:
            return
        row = table.cursor_row
        table.clear()
        for cells in lines(found.now["rows"]) if found.by == self.by else ():
            table.add_row(*cells)
        table.move_cursor(row=max(0, min(row, table.row_count - 1)))
        self.query_one("#cost-bill", Static).update(against(found))


def figures(found: Costs | None, risks: Sequence[Risk]) -> Text:
    """The rate, the month so far, what findings are worth, and whose prices these are."""
    text = Text(style=INK)
    if found is None:
        return text.append("asking the agent", style=QUIET)
    now = found.now
    if now["usd_per_hour"] is None:
        text.append(f"{now['note']}\n", style=WARN)
    else:
        text.append(money(now["usd_per_hour"]), style=f"bold {INK}").append(" an hour, ")
        text.append(money(now["usd_per_month"]), style=f"bold {INK}").append(" a month of 730 h at this rate\n")
    text.append("this month so far ", style=QUIET)
    text.append(money(sum(point["usd"] for point in found.month)), style=f"bold {INK}")
    text.append(f" metered in {hours(sum(point['watched_s'] for point in found.month))} watched\n", style=QUIET)
    text.append_text(worth(risks)).append("\n")
    text.append(f"list prices of {now['prices']}; {now['allocation']}", style=QUIET)
    for note in now["notes"]:
        text.append(f"\n{note}", style=WARN)
    return text


def worth(risks: Sequence[Risk]) -> Text:
    """What the findings that have a price add up to, the dearest by name."""
    priced = [(amount, risk) for risk in risks if (amount := risk.latest.usd_per_month) is not None]
    if not priced:
        return Text("no open finding has a price", style=QUIET)
    text = Text("open findings are worth up to ", style=QUIET)
    text.append(money(sum(amount for amount, _ in priced)), style=f"bold {ACCENT}").append(" a month: ", style=QUIET)
    dearest = sorted(priced, key=lambda item: -item[0])
    named = [f"{risk.rule} {short(risk.resource.partition('/')[2])}" for _, risk in dearest[:WORTH_SHOWN]]
    left = f" and {len(priced) - WORTH_SHOWN} more" if len(priced) > WORTH_SHOWN else ""
    return text.append(", ".join(named) + left, style=INK)


def lines(rows: Sequence[dict[str, Any]]) -> list[tuple[Text, ...]]:
    """Name, amounts, share and a bar; little money keeps its digits."""
    most = max((row["usd_per_hour"] for row in rows), default=0.0)
    total = sum(row["usd_per_hour"] for row in rows)
    return [
        (
            Text(short(str(row["name"])), style=f"bold {INK}"),
            Text(money(row["usd_per_hour"]), style=INK, justify="right"),
            Text(money(row["usd_per_month"]), style=INK, justify="right"),
            Text(percent(row["usd_per_hour"] / total if total else None), style=INK, justify="right"),
            Text(bar(row["usd_per_hour"], most, BAR_CELLS), style=ACCENT),
        )
        for row in rows
    ]


def against(found: Costs) -> Text | Table:
    """Both sides of the days that both know; where there are none, why."""
    bill = found.bill
    if bill is None:
        return Text(found.no_bill, style=QUIET)
    if not bill["days_compared"]:
        closed = bill["closed_until"] or "no day"
        return Text(
            f"{bill['rows']:,} rows of {bill['source']}, closed until {closed}: no day is both closed on the bill and "
            "watched by the meter, so nothing is compared",
            style=QUIET,
        )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    days = bill["days_compared"]
    table.add_column(f"an hour, {len(days)} day(s) to {days[-1]}")
    for title in ("meter", "bill", "difference", ""):
        table.add_column(title, justify="right")
    for line in bill["compared"]:
        meter, billed = line["meter_usd_per_hour"], line["bill_usd_per_hour"]
        apart = abs(billed - meter) > APART * max(meter, billed)
        table.add_row(
            Text(line["component"], style=f"bold {INK}"),
            Text(money(meter), style=INK),
            Text(money(billed), style=INK),
            Text(money(billed - meter), style=BAD if apart else INK),
            Text("apart" if apart else "agree", style=BAD if apart else QUIET),
        )
    return table


def short(name: str) -> str:
    """`dashboards-1…zone=zone-a`: the beginning and the end of a long name."""
    if len(name) <= NAME_CELLS:
        return name
    head = (NAME_CELLS - 1) // 2
    return f"{name[:head]}…{name[len(name) - (NAME_CELLS - 1 - head) :]}"
