"""Throttled copies: a move that copies data takes no more of a broker's network than the plan says.

Kafka's own way, as `kafka-reassign-partitions.sh --throttle` does it: the partition's present replicas are named in the
topic's `leader.replication.throttled.replicas`, those that are added in its `follower...`, and each broker concerned
gets a rate.

Laws:
1. What is set, and what was there before, is durable before the first call; a restart finds it and takes it away.
2. Only what this plan set is taken away. A rate that a broker had already is left as it is, before and after.
3. It is taken away when the copy ends, however it ends. At a broker that does not answer it is owed until it does: the
   rate alone slows nothing down, because no replica is named any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.act.cluster import Admin, other_cluster
from agent.act.errors import StepFailed
from agent.act.journal import Journal
from agent.collect.errors import CollectError
from agent.model.finding import Cell
from agent.model.plan import Plan, Step

RATE = "throttle_bytes_per_s"
"""The parameter of a step that says how fast it may copy."""
LEADER, FOLLOWER = "leader.replication.throttled", "follower.replication.throttled"
MARK = "throttle"
TOPIC_OVERRIDE, BROKER_OVERRIDE = "DYNAMIC_TOPIC_CONFIG", "DYNAMIC_BROKER_CONFIG"
GONE = "UnknownTopicOrPartition"


class Throttles:
    """The throttles of one cluster's plans; at most one at a time for each plan."""

    def __init__(self, admin: Admin, journal: Journal) -> None:
        self._admin = admin
        self._journal = journal

    def put(self, plan: Plan, step: Step, wanted: Mapping[str, Cell], held_by: Iterable[int]) -> None:
        """Throttles the copy that `wanted` needs; nothing where it copies nothing, or the plan sets no rate."""
        holders, target = sorted(held_by), wanted.get("replicas")
        adding = [int(b) for b in target if int(b) not in holders] if isinstance(target, list) else []
        if RATE not in wanted or not adding:
            return
        mark = self._journal.marked(plan.id, MARK)
        if mark is None or mark["lifted"] or mark["step"] != step.n:
            if left := self.lift(plan):
                raise StepFailed(f"step {step.n}: nothing more is copied: {left}")
            mark = self._planned(wanted, holders, adding, step)
            self._journal.mark(plan.id, MARK, mark)
        try:
            for name, entries in mark["lists"].items():
                self._change_list(mark["topic"], name, add=entries)
            for broker, rates in mark["rates"].items():
                self._admin.set_broker_configs(int(broker), dict.fromkeys(rates, str(mark["rate"])))
        except CollectError as error:
            raise StepFailed(f"step {step.n}: the copy cannot be throttled, so it does not begin: {error}") from error

    def lift(self, plan: Plan) -> str:
        """Takes the plan's throttle away; in words, what of it could not be reached and is still owed."""
        mark = self._journal.marked(plan.id, MARK)
        if mark is None or mark["lifted"]:
            return ""
        left: list[str] = []
        try:
            if other := other_cluster(plan, self._admin.topology()):
                return other
            for name, entries in mark["lists"].items():
                self._change_list(mark["topic"], name, drop=entries)
        except CollectError as error:
            left.append(f"topic {mark['topic']} ({error})")
        for broker, rates in mark["rates"].items():
            try:
                self._unset(int(broker), rates, str(mark["rate"]))
            except CollectError as error:
                left.append(f"broker {broker} ({error})")
        if not left:
            self._journal.mark(plan.id, MARK, {**mark, "lifted": True})
        return f"the throttle stays until it can be taken away at {', '.join(left)}" if left else ""

    def owed(self) -> list[str]:
        """Plans whose throttle was not taken away yet."""
        return [plan for plan, mark in self._journal.marks(MARK).items() if not mark["lifted"]]

    def _planned(self, wanted: Mapping[str, Cell], holders: list[int], adding: list[int], step: Step) -> dict[str, Any]:
        """What will be set: names of replicas for the topic, and rates for the brokers that have none of their own."""
        number = wanted["partition"]
        try:
            own = self._admin.broker_configs([*holders, *adding])
        except CollectError as error:
            raise StepFailed(f"step {step.n}: the brokers' own throttles cannot be read: {error}") from error
        if silent := [broker for broker in adding if str(broker) not in own]:
            raise StepFailed(
                f"step {step.n}: broker {silent[0]} does not tell its settings: nothing is copied to it now"
            )
        rates: dict[str, list[str]] = {}
        for name, brokers in ((f"{LEADER}.rate", holders), (f"{FOLLOWER}.rate", adding)):
            for broker in brokers:
                entry = own.get(str(broker), {}).get(name)
                if str(broker) in own and (entry is None or entry.source != BROKER_OVERRIDE):
                    rates.setdefault(str(broker), []).append(name)
        return {
            "step": step.n,
            "topic": wanted["topic"],
            "rate": wanted[RATE],
            "lists": {
                f"{LEADER}.replicas": [f"{number}:{broker}" for broker in holders],
                f"{FOLLOWER}.replicas": [f"{number}:{broker}" for broker in adding],
            },
            "rates": rates,
            "lifted": False,
        }

    def _change_list(self, topic: str, name: str, add: Iterable[str] = (), drop: Iterable[str] = ()) -> None:
        entry = self._admin.topic_configs([topic]).get(topic, {}).get(name)
        own = entry.value or "" if entry is not None and entry.source == TOPIC_OVERRIDE else ""
        if own.strip() == "*":
            return
        now = [part for part in own.split(",") if part]
        then = [*(part for part in now if part not in set(drop)), *(part for part in add if part not in now)]
        if then == now:
            return
        set_to, delete = ({name: ",".join(then)}, []) if then else ({}, [name])
        error = self._admin.alter_topic_configs(topic, set_to, delete)
        if error is not None and GONE not in error:
            raise CollectError(f"{name} of {topic}: {error}")

    def _unset(self, broker: int, rates: list[str], rate: str) -> None:
        """Only what is still as this plan set it: another value is someone else's by now."""
        own = self._admin.broker_configs([broker]).get(str(broker))
        if own is None:
            raise CollectError("no answer")
        ours = [name for name in rates if (entry := own.get(name)) is not None and entry.value == rate]
        if ours:
            self._admin.set_broker_configs(broker, dict.fromkeys(ours))
