"""What the demo proved: `demo-report.json`, the verdict, and why it is not better. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.demo.ledger import Records
from agent.demo.scenario import Scenario, Truth
from agent.model.codec import timestamp, to_json
from agent.model.finding import Risk
from agent.model.plan import Outlook, Plan, Refusal

BALANCED = 1.25
"""Busiest broker over mean: the bar of BAL-01 and of the demo."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that a run has seen."""

    scenario: Scenario
    time_scale: float
    seconds: float
    attended: bool
    """A person sat at the TUI, so approving was theirs."""
    risks: tuple[Risk, ...]
    """Each (rule, resource) that was open at any time."""
    plans: tuple[Plan, ...]
    refusals: tuple[Refusal, ...]
    load_before: dict[str, float]
    """Broker id to bytes in per second, by the brokers' own counters."""
    load_after: dict[str, float] | None
    """None where no plan ran."""
    records: Records


def key_of(item: Risk | Truth) -> tuple[str, str]:
    return item.rule, item.resource


def missed(outcome: Outcome) -> list[Truth]:
    """Planted and not found."""
    found = {key_of(risk) for risk in outcome.risks}
    return [truth for truth in outcome.scenario.truths if key_of(truth) not in found]


def unplanted(outcome: Outcome) -> list[Risk]:
    """Found and not planted."""
    planted = {key_of(truth) for truth in outcome.scenario.truths}
    return [risk for risk in outcome.risks if key_of(risk) not in planted]


def failures(outcome: Outcome) -> list[str]:
    """What did not hold, one line each; empty means that everything did."""
    found = _records(outcome.records) + _pinned(outcome)
    if outcome.attended:
        return found
    found += [f"planted but not found: {truth.rule} {truth.resource}" for truth in missed(outcome)]
    found += [f"found but not planted: {risk.rule} {risk.resource}" for risk in unplanted(outcome)]
    return found + _balance(outcome)


def _records(records: Records) -> list[str]:
    counts = {
        "lost": records.lost,
        "duplicated": records.duplicated,
        "out of order": records.out_of_order,
        "never acknowledged": records.unacknowledged,
    }
    found = [] if records.produced else ["no record was acknowledged"]
    return found + [f"{count} records {what}" for what, count in counts.items() if count]


def _pinned(outcome: Outcome) -> list[str]:
    """No plan may touch a partition whose load is one key: the load would move with it."""
    touched = {name for plan in outcome.plans for name in (*plan.before.assignment, *plan.after.assignment)}
    names = {f"{topic}-{partition}" for topic, partition in outcome.scenario.pinned}
    return [f"a plan moves {name}, whose load is one key" for name in sorted(touched & names)]


def _balance(outcome: Outcome) -> list[str]:
    executed = [plan for plan in outcome.plans if plan.approvals]
    found = [f"{plan.id} is {plan.state}: {plan.outcome}" for plan in executed if plan.state != "verified"]
    if "hot-broker" not in outcome.scenario.plants:
        return found
    if not executed:
        return [*found, "no plan was made for the hot broker"]
    skew = over_mean(outcome.load_after or {})
    if not 0 < skew < BALANCED:
        found.append(f"after the plan the busiest broker carries {skew:.2f} of the mean, not under {BALANCED}")
    return found


def over_mean(load: dict[str, float]) -> float:
    """1.0 is even; 0 where nothing flows."""
    total = sum(load.values())
    return max(load.values()) * len(load) / total if total else 0.0


def to_document(outcome: Outcome) -> dict[str, Any]:
    """`demo-report.json`."""
    problems = failures(outcome)
    records = outcome.records
    return {
        "seed": outcome.scenario.seed,
        "time_scale": outcome.time_scale,
        "seconds": round(outcome.seconds, 1),
        "passed": not problems,
        "failures": problems,
        "planted": [
            {"plant": truth.plant, "rule": truth.rule, "resource": truth.resource, "detail": truth.detail}
            for truth in outcome.scenario.truths
        ],
        "findings": [_finding(risk) for risk in outcome.risks],
        "plans": [_plan(plan) for plan in outcome.plans],
        "refusals": to_json(list(outcome.refusals)),
        "load": {
            "before": _load(outcome.load_before),
            "after": _load(outcome.load_after) if outcome.load_after is not None else None,
        },
        "records": {
            "produced": records.produced,
            "consumed": records.consumed,
            "lost": records.lost,
            "duplicated": records.duplicated,
            "out_of_order": records.out_of_order,
            "unacknowledged": records.unacknowledged,
        },
        "savings": savings(outcome),
    }


def _load(load: dict[str, float]) -> dict[str, Any]:
    return {"broker_bytes_per_s": load, "busiest_over_mean": round(over_mean(load), 3)}


def _finding(risk: Risk) -> dict[str, Any]:
    """Numbers and evidence as of the detection, money as it is now: a fixed problem has no load to show any more."""
    latest, detected = risk.latest, risk.snapshot
    return {
        "rule": risk.rule,
        "title": risk.title,
        "resource": risk.resource,
        "severity": risk.level,
        "state": risk.state,
        "first_seen": timestamp(risk.first_seen),
        "last_seen": timestamp(risk.last_seen),
        "observed": detected.observed,
        "limit": detected.limit,
        "unit": detected.unit,
        "evidence": to_json(list(detected.evidence)),
        "usd_per_month": latest.usd_per_month,
        "money_basis": latest.money_basis,
        "explanation": risk.explanation,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "title": plan.title,
        "state": plan.state,
        "outcome": plan.outcome,
        "risks": list(plan.risks),
        "steps": to_json(list(plan.steps)),
        "before": to_json(plan.before),
        "predicted": to_json(plan.after),
        "measured": to_json(plan.measured) if plan.measured is not None else None,
        "executed": bool(plan.steps) and all(step.state == "done" for step in plan.steps),
        "verified": plan.state == "verified",
        "rollback": [{"step": step.n, "target": step.target, "undo": step.undo} for step in reversed(plan.steps)],
        "usd_per_month": plan.usd_per_month,
    }


def savings(outcome: Outcome) -> dict[str, Any]:
    """What acting on each finding would save a month, and what the executed plans do; None where there is no price."""
    priced = [risk for risk in outcome.risks if risk.latest.usd_per_month is not None]
    plans = [
        plan.usd_per_month for plan in outcome.plans if plan.state == "verified" and plan.usd_per_month is not None
    ]
    return {
        "currency": "USD",
        "usd_per_month": round(sum(risk.latest.usd_per_month or 0.0 for risk in priced), 2),
        "verified_plans_usd_per_month": round(sum(plans), 2) if plans else None,
        "by_finding": [
            {
                "rule": risk.rule,
                "resource": risk.resource,
                "usd_per_month": risk.latest.usd_per_month,
                "basis": risk.latest.money_basis,
            }
            for risk in priced
        ],
        "unpriced": [f"{risk.rule} {risk.resource}" for risk in outcome.risks if risk.latest.usd_per_month is None],
    }


def moves(before: Outlook, after: Outlook) -> list[str]:
    """`orders-3: 1 -> 2`, one per partition that changes hands."""
    return [
        f"{name}: {_owners(before.assignment.get(name))} -> {_owners(replicas)}"
        for name, replicas in sorted(after.assignment.items())
        if replicas != before.assignment.get(name)
    ]


def _owners(replicas: list[int] | None) -> str:
    return ",".join(map(str, replicas)) if replicas else "?"
