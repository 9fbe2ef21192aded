"""What must hold before anything is called. What counts is what these allow, not what a model or a plan asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agent.act.actions import ACTIONS
from agent.act.errors import NotAllowed
from agent.act.journal import Journal
from agent.model.plan import Plan


@dataclass(frozen=True, kw_only=True)
class ActSettings:
    allow: frozenset[str] = frozenset({"MovePartitions", "AlterTopic"})
    """Actions that may be taken at all."""
    max_moves: int = 50
    max_plans_per_hour: int = 10
    second_person: bool = False
    """Two approvals by different people."""
    auto_rollback: bool = False
    """Take a plan back by itself when its verification fails."""
    read_only: bool = False
    """Nothing is approved, started, gone on with or taken back."""
    stop_file: Path | None = None
    """The kill switch: while this file exists nothing is started, rollbacks included."""
    step_timeout_s: float = 60.0
    """What a step may take while the cluster does not say that it is at it."""
    move_timeout_s: float = 6 * 3600.0
    """What a move may take whose copy nobody can see grow."""
    stall_timeout_s: float = 600.0
    """How long a copy may stand still: a broker that it needs may come back."""
    patience_s: float = 3.0
    """How long a decision waits for a plan that is being carried out."""
    verify_timeout_s: float = 300.0
    poll_s: float = 0.25


def stopped(settings: ActSettings) -> None:
    """NotAllowed while the kill switch is on, and always where the agent only reads."""
    only_reads(settings)
    if settings.stop_file is not None and settings.stop_file.exists():
        raise NotAllowed(f"actions are stopped by {settings.stop_file}: remove the file to allow them again")


def only_reads(settings: ActSettings) -> None:
    """NotAllowed where the agent was configured to change nothing."""
    if settings.read_only:
        raise NotAllowed('this agent only reads ([agent] mode = "read-only"): run the plan\'s commands yourself')


def may_start(plan: Plan, settings: ActSettings, journal: Journal, now: datetime) -> None:
    """NotAllowed with the first reason why this plan may not begin."""
    stopped(settings)
    if plan.state != "approved":
        raise NotAllowed(f"{plan.id} is {plan.state}, not approved: only an approved plan is executed")
    if now >= plan.expires_at:
        raise NotAllowed(f"{plan.id} expired at {plan.expires_at:%H:%M:%S} UTC: propose it again from fresh data")
    if len(people(plan)) < people_needed(settings):
        raise NotAllowed(f"{plan.id} needs the approval of a second person")
    _actions_allowed(plan, settings)
    if len(plan.steps) > settings.max_moves:
        raise NotAllowed(f"{plan.id} has {len(plan.steps)} steps, the cap is {settings.max_moves}: plan fewer moves")
    if journal.started_within(timedelta(hours=1)) >= settings.max_plans_per_hour:
        raise NotAllowed(
            f"{settings.max_plans_per_hour} plans were started within the hour, the cap: wait, or raise it"
        )
    busy = [other.id for other in journal.plans() if other.state == "executing" and other.cluster == plan.cluster]
    if busy:
        raise NotAllowed(f"{busy[0]} is executing on {plan.cluster}: one plan at a time")


def _actions_allowed(plan: Plan, settings: ActSettings) -> None:
    for step in plan.steps:
        if step.action not in ACTIONS:
            raise NotAllowed(f"step {step.n}: {step.action} is not an action that can be executed: run its commands")
        if step.action not in settings.allow:
            raise NotAllowed(f"step {step.n}: {step.action} is not in the list of allowed actions ([act] allow)")


def people(plan: Plan) -> set[str]:
    return {approval.by for approval in plan.approvals}


def people_needed(settings: ActSettings) -> int:
    return 2 if settings.second_person else 1
