"""From open risks to plans: the picture is made of the canonical views, and what gets no plan keeps its reason.

A proposal changes nothing, so the agent makes them by itself; running one is a person's decision.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from agent.loop.glance import Glance, Row
from agent.model.finding import Risk
from agent.model.plan import Outlook, Plan, Refusal
from agent.plan.propose import propose_all
from agent.plan.settings import PlanSettings
from agent.plan.state import ClusterState, state_from_views
from rules.engine import ViewSource

ASKED_AGAIN_S = 60.0
"""A refused risk is looked at again this often: the reason may have gone."""
_VIEWS = ("broker", "broker_load", "partition", "partition_load", "topic_config")
HOT_PARTITION = "BAL-03"
_MASS_LOSS = "AVL-04"


def cluster_state(
    source: ViewSource,
    at: datetime,
    cluster: str,
    risks: Collection[Risk],
    suspected: Collection[str] = (),
    *,
    cluster_id: str = "",
) -> ClusterState:
    """The picture a plan is made from; partitions that are hot, or `suspected` to be, are pinned.

    BAL-01 may be sure one look before BAL-03 is, and a plan made in between must not move the hot key.
    """
    with Glance(source, at) as glance:
        views = {view: glance.rows(view) for view in _VIEWS}
    pinned = {risk.resource for risk in risks if risk.rule == HOT_PARTITION} | set(suspected)
    return state_from_views(cluster, views, cluster_id=cluster_id, pinned=pinned)


def answers(
    asked: Sequence[Risk],
    open_risks: Sequence[Risk],
    state: ClusterState,
    at: datetime,
    settings: PlanSettings | None = None,
) -> tuple[list[Plan], list[Refusal]]:
    """Plans and refusals for the risks that were asked about; a mass loss is heeded whether asked about or not."""
    ids = {risk.id for risk in asked}
    warned = [risk for risk in open_risks if risk.rule == _MASS_LOSS and risk.id not in ids]
    found = propose_all([*asked, *warned], state, None, at, settings)
    plans = [answer for answer in found if isinstance(answer, Plan)]
    refusals = [answer for answer in found if isinstance(answer, Refusal) and answer.risk in ids]
    return plans, refusals


def wants_plan(risk: Risk, plans: Sequence[Plan]) -> bool:
    """Whether to propose unasked: not while a plan lives, nor after a person, or the cluster, has answered one.

    A plan that ran out is made anew; one that was verified is waited for: its risk resolves, or comes back as another.
    """
    own = [plan for plan in plans if risk.id in plan.risks]
    return all(plan.state == "expired" or plan.outcome.startswith("replaced by") for plan in own)


def measured(plan: Plan, load: Sequence[Row], partitions: Sequence[Row]) -> Outlook | None:
    """The cluster as it is now, in the terms of the plan; None while no broker's load is known."""
    rates = {str(row["broker"]): row["bytes_in_per_s"] for row in load if row["bytes_in_per_s"] is not None}
    mean = sum(rates.values()) / len(rates) if rates else 0.0
    if not mean:
        return None
    now = {
        f"{row['topic']}-{row['partition']}": [int(broker) for broker in row["replicas"] or ()] for row in partitions
    }
    return Outlook(
        broker_bytes_per_s=rates,
        busiest_over_mean=max(rates.values()) / mean,
        usd_per_month=None,
        assignment={name: now[name] for name in plan.after.assignment if name in now},
    )
