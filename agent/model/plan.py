"""What would fix it: a plan is an ordered list of typed steps, each with what undoes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.model.finding import Cell

PlanState = Literal[
    "proposed", "approved", "executing", "verifying", "verified", "failed", "rolled_back", "expired", "rejected"
]
StepState = Literal["pending", "journaled", "done", "failed", "undone"]
StepClass = Literal["reversible", "irreversible", "destructive"]


@dataclass(frozen=True, kw_only=True)
class Approval:
    by: str
    """Token name and OS user."""
    at: datetime
    note: str
    cluster_id: str = ""
    """Kafka's own id of the cluster that was there when the yes was given."""


@dataclass(frozen=True, kw_only=True)
class Step:
    n: int
    action: str
    """MovePartitions, ElectLeaders, AlterTopic, ...: one of the catalogue's typed actions."""
    target: str
    """A resource id."""
    params: dict[str, Cell]
    pre_image: dict[str, Cell]
    """What was there before, read when the plan was made and read again before the step runs."""
    undo: dict[str, Cell] | None
    """Parameters of the same action that restore the pre-image; None where nothing can."""
    step_class: StepClass
    state: StepState
    success_test: str
    """In words: what is read from the cluster to call the step done."""
    commands: tuple[str, ...]
    """What a person could run instead."""
    effort: str = ""
    """What it copies, how fast and how long, in words; empty where it copies nothing."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A predicted, or measured, state of the cluster: one side of a plan's diff."""

    broker_bytes_per_s: dict[str, float]
    """Broker id to bytes in per second."""
    busiest_over_mean: float
    usd_per_month: float | None
    assignment: dict[str, list[int]]
    """`topic-partition` to its replicas, owner first; only what the plan touches."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    id: str
    cluster: str
    cluster_id: str = ""
    """Kafka's own id of the cluster it was made for; empty where the cluster tells none. A name, and an address, may
    come to mean another cluster."""
    title: str
    risks: tuple[str, ...]
    """Ids of the risks it answers."""
    state: PlanState
    state_hash: str
    """Of the assignment and the broker set the plan was made from; it runs on no other."""
    created_at: datetime
    expires_at: datetime
    before: Outlook
    after: Outlook
    """As predicted."""
    measured: Outlook | None
    """As found by the verification."""
    usd_per_month: float | None
    """What it would save a month; None where money does not move."""
    risk: str
    """What could go wrong, in words."""
    steps: tuple[Step, ...]
    approvals: tuple[Approval, ...]
    outcome: str
    """Why the plan is in its state, in words."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a risk gets no plan: the obvious action is sometimes wrong, and that is said."""

    risk: str
    """The id of the risk."""
    rule: str
    resource: str
    reason: str
    advice: str
    """What a person does instead, with the concrete settings; nothing of it is executed. Empty where there is none."""
