"""A plan as plain text: loads before and after with bars, what moves, and the money. Used by the CLI and the TUI."""

from __future__ import annotations

from agent.model.plan import Outlook, Plan

BAR_CELLS = 20
FULL = "█"
EIGHTHS = " ▏▎▍▌▋▊▉"


def diff(plan: Plan, width: int = BAR_CELLS) -> str:
    """The whole diff; the measured loads are shown too once there are any."""
    lines = [f"{plan.title}  [{plan.state}]", "", *_loads(plan, width), "", *_moves(plan)]
    money = "does not move" if plan.usd_per_month is None else f"saves ${plan.usd_per_month:,.2f} a month"
    lines += ["", f"money: {money}", f"risk:  {plan.risk}"]
    return "\n".join([*lines, f"note:  {plan.outcome}"] if plan.outcome else lines)


def bar(value: float, full: float, cells: int = BAR_CELLS) -> str:
    """`value` of `full` as a bar of at most `cells` cells, in eighths."""
    eighths = round(8 * cells * min(max(value / full if full else 0.0, 0.0), 1.0))
    return FULL * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


def rate(bytes_per_s: float) -> str:
    """`12.3 MiB/s`."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if bytes_per_s >= size:
            return f"{bytes_per_s / size:.1f} {unit}/s"
    return f"{bytes_per_s:.0f} B/s"


def _loads(plan: Plan, width: int) -> list[str]:
    sides = [("before", plan.before), ("after", plan.after)]
    if plan.measured:
        sides.append(("measured", plan.measured))
    full = max((load for _, side in sides for load in side.broker_bytes_per_s.values()), default=0.0)
    brokers = sorted({broker for _, side in sides for broker in side.broker_bytes_per_s}, key=_order)
    heading = "broker  " + "".join(f"{name:<{width + 14}}" for name, _ in sides)
    rows = [f"{broker:<8}" + "".join(_cell(side, broker, full, width) for _, side in sides) for broker in brokers]
    skew = "busiest over mean: " + " -> ".join(f"{side.busiest_over_mean:.2f}" for _, side in sides)
    return [heading.rstrip(), *(row.rstrip() for row in rows), skew]


def _cell(side: Outlook, broker: str, full: float, width: int) -> str:
    load = side.broker_bytes_per_s.get(broker)
    if load is None:
        return f"{'unknown':<{width + 14}}"
    return f"{rate(load):>12} {bar(load, full, width):<{width}} "


def _order(broker: str) -> tuple[int, str]:
    return (int(broker), "") if broker.isdigit() else (1 << 30, broker)


def _moves(plan: Plan) -> list[str]:
    if not plan.before.assignment:
        return [f"{step.n}. {step.action} {step.target}  [{step.step_class}, {step.state}]" for step in plan.steps]
    states = {f"{step.params.get('topic')}-{step.params.get('partition')}": step.state for step in plan.steps}
    names = list(plan.before.assignment)
    wide = max(len(name) for name in names)
    was, will = plan.before.assignment, plan.after.assignment
    return [f"{name:<{wide}}  {was[name]} -> {will.get(name, [])}  {states.get(name, '')}".rstrip() for name in names]
