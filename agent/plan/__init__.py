"""Findings in, a plan out. Pure: it reads a frozen picture of the cluster and touches nothing."""

from agent.model.plan import Plan, Refusal
from agent.plan.propose import propose, propose_all
from agent.plan.settings import PlanSettings
from agent.plan.state import ClusterState, Prices, state_from_views

__all__ = [
    "ClusterState",
    "Plan",
    "PlanSettings",
    "Prices",
    "Refusal",
    "propose",
    "propose_all",
    "state_from_views",
]
