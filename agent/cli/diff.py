"""A plan as a person reads it in a terminal: load before and after, the moves, the money, what to run instead."""

from __future__ import annotations

from typing import Any

from agent.cli.show import money, rate, table, wrapped

_BAR_CELLS = 20


def diff(plan: dict[str, Any], *, columns: int = 80, undo: bool = False) -> str:
    """The whole plan, its prose in so many columns; with `undo`, what taking it back would do.

    Commands stay on one line, to be copied.
    """
    before, after = (plan["after"], plan["before"]) if undo else (plan["before"], plan["after"])
    lines = [f"{plan['id']}  {plan['title']}  [{plan['state']}]", ""]
    if before["assignment"] != after["assignment"]:
        lines += [*_load(before, after), "", *_moves(before, after), ""]
    else:
        lines += [*_settings(plan, undo), "no partition moves", ""]
    return "\n".join([*lines, *_money(plan), *_words(plan, columns)])


def _settings(plan: dict[str, Any], undo: bool) -> list[str]:
    """What each changed setting is and would be; None stands for the cluster's default."""
    rows = []
    for step in plan["steps"]:
        now, then = step["pre_image"], (step["undo"] or {}) if undo else step["params"]
        if "name" in now:
            was = step["params"].get("value") if undo else now.get("value")
            rows.append((f"{now['topic']} {now['name']}", *(_set(value) for value in (was, then.get("value")))))
    return [*table(("setting", "now", "then"), rows).splitlines(), ""] if rows else []


def _set(value: Any) -> str:
    return "the default" if value is None else str(value)


def _load(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    was, will = before["broker_bytes_per_s"], after["broker_bytes_per_s"]
    top = max([*was.values(), *will.values(), 1.0])
    rows = [
        (
            broker,
            rate(was.get(broker, 0.0)),
            _bar(was.get(broker, 0.0), top),
            rate(will.get(broker, 0.0)),
            _bar(will.get(broker, 0.0), top),
        )
        for broker in sorted({*was, *will}, key=_numerically)
    ]
    text = table(("broker", "written", "before", "predicted", "after"), rows, right="written,predicted")
    skew = f"busiest over mean: {before['busiest_over_mean']:.2f} -> {after['busiest_over_mean']:.2f}"
    return [*text.splitlines(), skew]


def _bar(value: float, top: float) -> str:
    return "#" * round(_BAR_CELLS * value / top)


def _numerically(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 30, name)


def _moves(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    was, will = before["assignment"], after["assignment"]
    moves = [
        (name, _owners(was.get(name)), _owners(will.get(name)))
        for name in sorted({*was, *will})
        if was.get(name) != will.get(name)
    ]
    return table(("partition", "replicas now", "replicas then"), moves).splitlines()


def _owners(replicas: list[int] | None) -> str:
    return ",".join(map(str, replicas)) if replicas else "-"


def _money(plan: dict[str, Any]) -> list[str]:
    saved = plan["usd_per_month"]
    return [f"money: {money(saved)} a month" if saved is not None else "money: does not move"]


def _words(plan: dict[str, Any], columns: int) -> list[str]:
    own = f" (Kafka id {plan['cluster_id']})" if plan["cluster_id"] else ""
    lines = [f"cluster: {plan['cluster']}{own}", wrapped(f"risk: {plan['risk']}", columns)]
    lines += [f"expires: {plan['expires_at']}", f"steps: {len(plan['steps'])}"]
    lines += [
        f"  {step['n']}. {step['action']} {step['target']}  [{step['step_class']}, {step['state']}]"
        + (f"  {step['effort']}" if step["effort"] else "")
        for step in plan["steps"]
    ]
    commands = [command for step in plan["steps"] for command in step["commands"]]
    if commands:
        lines += ["", "or run it yourself:", *(f"  {command}" for command in commands)]
    if plan["outcome"]:
        lines.append(f"outcome: {plan['outcome']}")
    return lines
