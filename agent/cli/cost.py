"""`cost`: what the cluster costs, by whom, over time, and what it would cost if."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from agent.cli.complaint import Complaint
from agent.cli.remote import DEFAULT_AGENT, AgentUrl, AsJson, Named, Remote
from agent.cli.show import money, put, put_json, seconds, share, table, width, wrapped

BAR = 24
COLUMNS = 68
EIGHTHS = " ▁▂▃▄▅▆▇█"
HEIGHT = 6
_SECONDS = {"h": 3600, "d": 86400, "w": 604800}
_KEPT_DAYS = 62


def register(app: typer.Typer) -> None:
    """Adds `cost`."""
    app.command("cost", help="What it costs: by whom, over time, and what it would cost if.")(_cost)


def _cost(
    by: Annotated[str, typer.Option(help="component, topic, client, group or zone.")] = "component",
    since: Annotated[str, typer.Option(help="Plot what was metered, like 12h, 7d or 4w.")] = "",
    what_if: Annotated[
        list[str], typer.Option(help="traffic=3x, flush=250ms, spot or kafka:rf=3; repeatable, in order.")
    ] = [],  # noqa: B006
    bill: Annotated[bool, typer.Option("--bill", help="The bill too, and the meter against it.")] = False,
    cluster: Named = "",
    agent: AgentUrl = DEFAULT_AGENT,
    as_json: AsJson = False,
) -> int:
    asked = {"by": by, "what_if": what_if or None, "since_s": _seconds(since) if since else None}
    asked["bill"] = "true" if bill else None
    asked["cluster"] = cluster or None
    found: dict[str, Any] = Remote(agent).get("/api/cost", **asked)
    if as_json:
        put_json(found)
        return 0
    put(costs_table(by, found, width()))
    if "history" in found:
        put(f"\n{plot(found['history'])}")
    if "bill" in found:
        put(f"\n{bill_table(found['bill'])}")
    if "what_if" in found:
        put(f"\n{suppositions(found['what_if'])}")
    for note in found["notes"]:
        sys.stderr.write(f"{note}\n")
    return 0


def costs_table(by: str, found: dict[str, Any], columns: int = 80) -> str:
    """A line each with a bar of its share, the total, and how it was allocated."""
    whole = found["usd_per_hour"]
    most = max((row["usd_per_hour"] for row in found["rows"]), default=0.0)
    rows = [
        (
            str(row["name"]),
            money(row["usd_per_hour"]),
            money(row["usd_per_month"]),
            share(row["usd_per_hour"] / whole if whole else None),
            "█" * max(1, round(BAR * row["usd_per_hour"] / most)) if most > 0 and row["usd_per_hour"] > 0 else "",
        )
        for row in found["rows"]
    ]
    text = table((by, "per hour", "per month", "share", ""), rows, right="per hour,per month,share")
    text += f"\n\ntotal {money(found['usd_per_hour'])} an hour, {money(found['usd_per_month'])} a month of 730 h"
    bases = sorted({str(row["basis"]) for row in found["rows"]})
    of = f"list prices of {found['prices']}" if bases != ["bill"] else "by the bill"
    text += "\n" + wrapped(f"{of}; allocated: {found['allocation']}", columns)
    return text + (f"\n{wrapped(found['note'], columns)}" if found["note"] else "")


def plot(points: Sequence[dict[str, Any]]) -> str:
    """USD an hour over time, as columns; one column may stand for several points."""
    if not points:
        return "nothing was metered in that time"
    each = -(-len(points) // COLUMNS)
    groups = [points[n : n + each] for n in range(0, len(points), each)]
    rates = [sum(point["usd_per_hour"] for point in group) / len(group) for group in groups]
    top = max(rates) or 1.0
    levels = [round(rate / top * HEIGHT * 8) for rate in rates]
    rows = ["".join(EIGHTHS[max(0, min(8, level - 8 * row))] for level in levels) for row in reversed(range(HEIGHT))]
    label = f"{money(top)}/h"
    lines = [f"{label if n == 0 else '':>10} {row}" for n, row in enumerate(rows)]
    lines.append(f"{'':>10} {_minute(points[0]['at'])} to {_minute(points[-1]['until'])} UTC")
    spent = sum(point["usd"] for point in points)
    watched = sum(point["watched_s"] for point in points)
    return "\n".join([*lines, f"{money(spent)} metered, {seconds(watched)} watched"])


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


def bill_table(found: dict[str, Any]) -> str:
    """What the bill says, and the meter beside it where both know the same days."""
    parts = [
        f"bill {found['source']}: {found['rows']:,} rows, {found['unclassified']:,} unclassified, "
        f"closed until {found['closed_until'] or 'no day'}"
    ]
    lines = [
        (line["component"], f"{line['amount']:,.2f}", line["currency"], str(line["rows"]))
        for line in found["components"]
    ]
    if lines:
        parts.append(table(("component", "amount", "currency", "rows"), lines, right="amount,rows"))
    if days := found["days_compared"]:
        parts.append(f"\nmeter against bill, an hour, over {len(days)} closed and watched days to {days[-1]}")
        sides = [
            (line["component"], line["meter_usd_per_hour"], line["bill_usd_per_hour"]) for line in found["compared"]
        ]
        rows = [(name, money(meter), money(told), money(told - meter)) for name, meter, told in sides]
        parts.append(table(("component", "meter", "bill", "difference"), rows, right="meter,bill,difference"))
    else:
        parts.append("no day is both closed on the bill and watched by the meter: nothing is compared")
    return "\n".join([*parts, *found["notes"]])


def suppositions(found: dict[str, Any]) -> str:
    """Both months line by line, with the arithmetic of each."""
    month = f"a month of {found['hours_per_month']:g} h"
    parts = [f"what if {', '.join(found['changes'])} ({month}, list prices of {found['prices']})"]
    for title, key in (("now", "before"), ("then", "after")):
        parts.append(f"{title}:")
        parts += [f"  {line['component']:<9} {line['arithmetic']}" for line in found[key]]
        parts.append(f"  {'total':<9} {money(found[f'usd_per_month_{key}'])}")
    more = found["usd_per_month_more"]
    difference = f"{money(abs(more))} a month {'more' if more > 0 else 'less'}"
    parts.append(difference if abs(more) >= 0.005 else "no difference")
    return "\n".join([*parts, *found["notes"]])


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)([hdw])", text)
    if match is None:
        raise Complaint(f"--since {text!r} is not understood", "write it like 12h, 7d or 4w")
    asked = int(match[1]) * _SECONDS[match[2]]
    if not 0 < asked <= _KEPT_DAYS * _SECONDS["d"]:
        raise Complaint(
            f"--since {text!r} is {asked // 3600:,} h",
            f"what was metered is kept for {_KEPT_DAYS} days: write 1h to {_KEPT_DAYS}d",
        )
    return float(asked)
