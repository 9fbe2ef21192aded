"""What happened between two looks at a cluster: leaders that moved, brokers that came and went, groups that rebalanced.

Pure: two snapshots in, events out. Restarts are seen by a start time that changed (`agent.collect.collector`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.collect.shapes import Group, Topology
from agent.model.resource import resource_id
from agent.store.batch import Columns, texts

REBALANCING = ("PreparingRebalance", "CompletingRebalance")


@dataclass(frozen=True, kw_only=True)
class Event:
    resource: str
    kind: str
    """leader_change, broker_joined, broker_left, broker_restarted, rebalance, topic_created, topic_deleted."""
    source: str
    detail: str


def topology_events(cluster: str, before: Topology, after: Topology) -> list[Event]:
    """What differs between two topologies."""
    events = _broker_events(cluster, before, after)
    leaders = {(state.topic, state.partition): state.leader for state in before.partitions}
    for state in after.partitions:
        was = leaders.get((state.topic, state.partition))
        if was is not None and was != state.leader:
            resource = resource_id(cluster, "topic", state.topic, state.partition)
            events.append(_event(resource, "leader_change", f"from {was} to {state.leader}"))
    old = {state.topic for state in before.partitions}
    new = {state.topic for state in after.partitions}
    events += [_event(resource_id(cluster, "topic", topic), "topic_created", "") for topic in sorted(new - old)]
    events += [_event(resource_id(cluster, "topic", topic), "topic_deleted", "") for topic in sorted(old - new)]
    return events


def _broker_events(cluster: str, before: Topology, after: Topology) -> list[Event]:
    old = {broker.id for broker in before.brokers}
    new = {broker.id for broker in after.brokers}
    joined = [_event(resource_id(cluster, "broker", id), "broker_joined", "") for id in sorted(new - old)]
    return joined + [_event(resource_id(cluster, "broker", id), "broker_left", "") for id in sorted(old - new)]


def group_events(cluster: str, before: Mapping[str, Group], after: Mapping[str, Group]) -> list[Event]:
    """One `rebalance` per group whose members or assignment changed, or that is at it now."""
    events = []
    for id, group in after.items():
        was = before.get(id)
        if was is None or was.members is None or group.members is None:
            continue
        began = group.state in REBALANCING and was.state not in REBALANCING
        settled = {member.id for member in was.members} != {member.id for member in group.members}
        if began or (settled and was.state not in REBALANCING):
            detail = f"{len(was.members)} to {len(group.members)} members"
            events.append(_event(resource_id(cluster, "group", id), "rebalance", detail))
    return events


def event_columns(cluster: str, events: list[Event]) -> Columns:
    return {
        "cluster": texts([cluster] * len(events)),
        "resource": texts([event.resource for event in events]),
        "kind": texts([event.kind for event in events]),
        "source": texts([event.source for event in events]),
        "detail": texts([event.detail for event in events]),
    }


def _event(resource: str, kind: str, detail: str) -> Event:
    return Event(resource=resource, kind=kind, source="admin", detail=detail)
