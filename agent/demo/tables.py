"""The report for a person: plain text on stdout, made from the same outcome as `demo-report.json`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.demo.narrate import usd
from agent.demo.report import Outcome, failures, key_of, moves, over_mean, savings, unplanted
from agent.model.plan import Outlook, Plan


def render(outcome: Outcome) -> str:
    """The whole report, ending in its verdict."""
    scenario = outcome.scenario
    planted = ", ".join(scenario.plants) or "nothing"
    lines = [
        f"streampilot demo: seed {scenario.seed}, planted {planted}",
        f"{outcome.seconds:.0f} s; the rule pages' durations divided by {outcome.time_scale:g}, thresholds as they are",
        "",
        *_findings(outcome),
        "",
        *_plans(outcome),
        "",
        *_records(outcome),
        "",
        *_savings(outcome),
        "",
        *_verdict(outcome),
    ]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what is in them, with a line under the head."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    ruled = [head, ["-" * width for width in widths], *rows]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in ruled]


def _findings(outcome: Outcome) -> list[str]:
    found = {key_of(risk): risk for risk in outcome.risks}
    rows: list[tuple[str, ...]] = []
    for truth in outcome.scenario.truths:
        risk = found.get(key_of(truth))
        money = usd(risk.latest.usd_per_month) if risk else ""
        missing = "not yet" if outcome.attended else "NOT FOUND"
        rows.append((truth.plant, truth.rule, truth.resource, risk.level if risk else missing, money))
    rows += [
        ("NOT PLANTED", risk.rule, risk.resource, risk.level, usd(risk.latest.usd_per_month))
        for risk in unplanted(outcome)
    ]
    if not rows:
        return ["planted and found: nothing, and nothing"]
    return table(("planted", "rule", "resource", "found as", "costs"), rows)


def _plans(outcome: Outcome) -> list[str]:
    lines = []
    for plan in outcome.plans:
        if plan.outcome.startswith("replaced by"):
            lines.append(f"plan {plan.id}: {plan.outcome}")
            continue
        lines += [
            f"plan {plan.id}: {plan.title} [{plan.state}]",
            *(f"  {move}" for move in moves(plan.before, plan.after)),
        ]
        lines += [f"  {line}" for line in _loads(outcome, plan)]
        if plan.outcome:
            lines.append(f"  {plan.outcome}")
    lines += [f"no plan for {refusal.rule} {refusal.resource}: {refusal.reason}" for refusal in outcome.refusals]
    return lines or ["no plan: nothing to change"]


def _loads(outcome: Outcome, plan: Plan) -> list[str]:
    columns: list[tuple[str, Outlook | None]] = [
        ("before", plan.before),
        ("predicted", plan.after),
        ("measured", plan.measured),
    ]
    brokers = sorted(plan.before.broker_bytes_per_s)
    rows = [
        (
            f"broker {broker}",
            *(_rate(outlook.broker_bytes_per_s.get(broker)) if outlook else "-" for _, outlook in columns),
        )
        for broker in brokers
    ]
    rows.append(("busiest/mean", *(f"{outlook.busiest_over_mean:.2f}" if outlook else "-" for _, outlook in columns)))
    head = ("MB/s written", *(name for name, _ in columns))
    lines = table(head, rows)
    if outcome.load_after is not None:
        before, after = over_mean(outcome.load_before), over_mean(outcome.load_after)
        lines.append(f"by the brokers' own counters: busiest/mean {before:.2f} before, {after:.2f} after")
    return lines


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:.2f}"


def _records(outcome: Outcome) -> list[str]:
    records = outcome.records
    return [
        f"records: {records.produced:,} acknowledged, {records.consumed:,} read back, {records.lost} lost, "
        f"{records.duplicated} duplicated, {records.out_of_order} out of order"
    ]


def _savings(outcome: Outcome) -> list[str]:
    found = savings(outcome)
    lines = [f"savings if every finding is acted on: {usd(found['usd_per_month'])}"]
    return lines + [
        f"  {item['rule']} {item['resource']}: {usd(item['usd_per_month'])}" for item in found["by_finding"]
    ]


def _verdict(outcome: Outcome) -> list[str]:
    problems = failures(outcome)
    if not problems:
        return [
            "nothing lost, nothing duplicated; the rest was yours to decide" if outcome.attended else "everything held"
        ]
    return ["did not hold:", *(f"  {problem}" for problem in problems)]
