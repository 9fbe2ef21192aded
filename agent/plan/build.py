"""What every plan has in common: its id, its lifetime, its first state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from agent.model.codec import timestamp
from agent.model.finding import Risk
from agent.model.plan import Outlook, Plan, Refusal, Step
from agent.plan.settings import PlanSettings
from agent.plan.state import ClusterState


def proposed(
    risks: Sequence[Risk],
    state: ClusterState,
    now: datetime,
    settings: PlanSettings,
    *,
    title: str,
    before: Outlook,
    after: Outlook,
    usd_per_month: float | None,
    risk: str,
    steps: tuple[Step, ...],
) -> Plan:
    """A plan in its first state; the same inputs make the same id."""
    ids = tuple(item.id for item in risks)
    what = [(step.target, step.params) for step in steps]
    seed = repr((state.cluster, state.cluster_id, state.hash, ids, timestamp(now), what))
    return Plan(
        id=f"plan-{hashlib.sha256(seed.encode()).hexdigest()[:10]}",
        cluster=state.cluster,
        cluster_id=state.cluster_id,
        title=title,
        risks=ids,
        state="proposed",
        state_hash=state.hash,
        created_at=now,
        expires_at=now + settings.lifetime,
        before=before,
        after=after,
        measured=None,
        usd_per_month=usd_per_month,
        risk=risk,
        steps=steps,
        approvals=(),
        outcome="",
    )


def refused(risk: Risk, reason: str, advice: str = "") -> Refusal:
    return Refusal(risk=risk.id, rule=risk.rule, resource=risk.resource, reason=reason, advice=advice)


def outlook(loads: dict[int, float], assignment: dict[str, list[int]], usd_per_month: float | None = None) -> Outlook:
    """One side of a diff from each live broker's bytes per second."""
    mean = sum(loads.values()) / len(loads) if loads else 0.0
    return Outlook(
        broker_bytes_per_s={str(broker): load for broker, load in sorted(loads.items())},
        busiest_over_mean=max(loads.values()) / mean if mean else 1.0,
        usd_per_month=usd_per_month,
        assignment=assignment,
    )
