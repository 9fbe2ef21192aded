"""Risks in, plans and refusals out. Pure: same inputs, same plan.

What moves partitions goes into ONE plan, because two of them would each be made void by the other. Every other change
is a plan of its own, so that a person approves one thing at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agent.model.finding import Risk
from agent.model.plan import Plan, Refusal
from agent.plan.advice import advise
from agent.plan.build import refused
from agent.plan.configs import retention_plan
from agent.plan.moves import mass_loss, move_plan
from agent.plan.settings import PlanSettings
from agent.plan.state import ClusterState, Prices

MOVES = frozenset({"BAL-01", "BAL-06", "AVL-03"})
RETENTION = frozenset({"LAG-08", "TOP-01"})


def propose_all(
    risks: Sequence[Risk],
    state: ClusterState,
    prices: Prices | None,
    now: datetime,
    settings: PlanSettings | None = None,
) -> tuple[Plan | Refusal, ...]:
    """A plan or a refusal for every risk; the moves, if any, first."""
    bounds = settings or PlanSettings()
    ordered = sorted(risks, key=lambda risk: (risk.level, risk.rule, risk.resource))
    moving = [risk for risk in ordered if risk.rule in MOVES]
    answers: list[Plan | Refusal] = []
    if moving and any(risk.rule == "AVL-04" for risk in risks):
        reason = mass_loss(state) or "several brokers were lost at once: do not rebalance until that is understood"
        answers += [refused(risk, reason) for risk in moving]
    elif moving:
        answers += _moves(moving, state, prices or Prices(), now, bounds)
    for risk in ordered:
        if risk.rule in RETENTION:
            answers.append(retention_plan(risk, state, now, bounds))
        elif risk.rule not in MOVES:
            answers.append(advise(risk))
    return tuple(answers)


def _moves(
    risks: Sequence[Risk], state: ClusterState, prices: Prices, now: datetime, settings: PlanSettings
) -> list[Plan | Refusal]:
    """One plan for all; where a dead broker has nothing to place, the others still get theirs."""
    answer = move_plan(risks, state, prices, now, settings)
    if isinstance(answer, Plan):
        return [answer]
    placing = [risk for risk in risks if risk.rule == "AVL-03"]
    others = [risk for risk in risks if risk.rule != "AVL-03"]
    if not placing or not others:
        return list(answer)
    second = move_plan(others, state, prices, now, settings)
    kept = [refusal for refusal in answer if refusal.rule == "AVL-03"]
    return [second, *kept] if isinstance(second, Plan) else list(answer)


def propose(
    risks: Sequence[Risk],
    state: ClusterState,
    prices: Prices | None,
    now: datetime,
    settings: PlanSettings | None = None,
) -> Plan | Refusal:
    """The first plan of `propose_all`, else its first refusal."""
    answers = propose_all(risks, state, prices, now, settings)
    plans = [answer for answer in answers if isinstance(answer, Plan)]
    if not plans and not answers:
        raise ValueError("propose needs at least one risk")
    return plans[0] if plans else answers[0]
