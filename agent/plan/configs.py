"""AlterTopic: retention up before unread records expire (LAG-08), or down to what is read (TOP-01).

Raising is reversible and meant to be taken back. Lowering deletes records, so it is marked destructive: the setting can
be restored, what expired cannot.
"""

from __future__ import annotations

import math
from datetime import datetime

from agent.model.finding import Cell, Risk
from agent.model.plan import Plan, Refusal, Step
from agent.model.resource import parts, resource_id
from agent.plan import commands
from agent.plan.build import outlook, proposed, refused
from agent.plan.settings import PlanSettings
from agent.plan.state import ClusterState

RETENTION = "retention.ms"
OVERRIDE = "DYNAMIC_TOPIC_CONFIG"
RAISE_FACTOR = 2.0
"""Twice the retention halves the share that the lag has used up; whole hours, so that a short one grows by more."""
HOUR_MS = 3_600_000


def retention_plan(risk: Risk, state: ClusterState, now: datetime, settings: PlanSettings) -> Plan | Refusal:
    """The plan that changes one topic's retention, or why not."""
    topic = _topic(risk)
    if topic is None:
        return refused(risk, "the finding names no topic whose retention could be changed")
    value, source = state.topic_configs.get(topic, {}).get(RETENTION, (None, ""))
    old = _number(value)
    if old is None:
        return refused(risk, f"the retention of {topic} could not be read: grant DescribeConfigs on it")
    if old < 0:
        return refused(risk, f"{topic} keeps its records for ever: there is no retention to change")
    raising = risk.rule == "LAG-08"
    doubled = math.ceil(old * RAISE_FACTOR / HOUR_MS) * HOUR_MS
    new = max(_wanted(risk) or 0, doubled) if raising else _wanted(risk)
    if new is None:
        return refused(risk, f"how far back {topic} is read is not known, so a shorter retention cannot be chosen")
    if not raising and new >= old:
        return refused(risk, f"{topic} keeps {_hours(old)} and needs {_hours(new)}: nothing to gain")
    step = _step(topic, old, new, overridden=source == OVERRIDE, state=state, raising=raising)
    loads = {broker.id: broker.bytes_in_per_s for broker in state.live if broker.bytes_in_per_s is not None}
    return proposed(
        [risk],
        state,
        now,
        settings,
        title=f"{'Raise' if raising else 'Lower'} retention of {topic} from {_hours(old)} to {_hours(new)}",
        before=outlook(loads, {}),
        after=outlook(loads, {}),
        usd_per_month=None if raising else risk.latest.usd_per_month,
        risk=_risk(topic, old, new, raising),
        steps=(step,),
    )


def _risk(topic: str, old: int, new: int, raising: bool) -> str:
    if raising:
        times = f"up to {new / old:.3g} times as much as it does now" if old else "more than it does now"
        return (
            f"{topic} stores {times} until this is taken back. "
            f"It is meant to be temporary: roll it back to {_hours(old)} once the group has caught up. "
            "What has expired already is not brought back."
        )
    return (
        f"Destructive: records of {topic} older than the new retention are deleted and cannot be brought back. "
        "Ask its owner about replay and compliance first."
    )


def _topic(risk: Risk) -> str | None:
    named = risk.latest.params.get("topic")
    if isinstance(named, str):
        return named
    segments = parts(risk.resource)
    if segments[1:2] == ("topic",):
        return segments[2]
    rows = [row for evidence in risk.latest.evidence for row in evidence.rows]
    topics = {row["topic"] for row in rows if isinstance(row.get("topic"), str)}
    return str(topics.pop()) if len(topics) == 1 else None


def _wanted(risk: Risk) -> int | None:
    """The retention that the page asks for (`action_name`, `action_value`), in milliseconds."""
    params = risk.latest.params
    return _number(params.get("value")) if params.get("name", RETENTION) == RETENTION else None


def _number(value: Cell) -> int | None:
    if value is None or isinstance(value, list | bool):
        return None
    try:
        return math.ceil(float(value))
    except (ValueError, OverflowError):
        return None


def _hours(milliseconds: int) -> str:
    hours = milliseconds / HOUR_MS
    if milliseconds < HOUR_MS:
        return f"{milliseconds / 60_000:.3g} min" if milliseconds >= 60_000 else f"{milliseconds / 1_000:g} s"
    return f"{hours / 24:g} days" if hours >= 48 and hours % 24 == 0 else f"{hours:.3g} h"


def _step(topic: str, old: int, new: int, *, overridden: bool, state: ClusterState, raising: bool) -> Step:
    before: Cell = str(old) if overridden else None
    return Step(
        n=1,
        action="AlterTopic",
        target=resource_id(state.cluster, "topic", topic),
        params={"topic": topic, "name": RETENTION, "value": str(new)},
        pre_image={"topic": topic, "name": RETENTION, "value": before},
        undo={"topic": topic, "name": RETENTION, "value": before},
        step_class="reversible" if raising else "destructive",
        state="pending",
        success_test=f"the topic's configuration shows {RETENTION}={new}",
        commands=commands.alter_topic(topic, RETENTION, str(new)),
    )
