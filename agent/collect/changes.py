"""What happened between two looks at a cluster: leaders that moved, brokers that came and went, groups that rebalanced.

Pure: two snapshots in, events out. Restarts are seen by a start time that changed (`agent.collect.collector`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.collect.shapes import ConfigEntry, Group, Topology
from agent.model.resource import resource_id
from agent.store.batch import Columns, texts

MOST_CONFIG_EVENTS = 100
"""Of one look; a rolled-out default changes thousands of topics at once, and one event says so."""
REBALANCING = ("PreparingRebalance", "CompletingRebalance")


@dataclass(frozen=True, kw_only=True)
class Event:
    resource: str
    kind: str
    """leader_change, move, broker_joined, broker_left, broker_restarted, rebalance, config_change, topic_created,
    topic_deleted; spot_notice, spot_warning and either with `_withdrawn`, which brokers show and persons announce;
    and what only a person says: deploy, maintenance, scale, note."""
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
    replicas = {(state.topic, state.partition): state.replicas for state in before.partitions}
    for state in after.partitions:
        held = replicas.get((state.topic, state.partition))
        if held is not None and set(held) != set(state.replicas):
            resource = resource_id(cluster, "topic", state.topic, state.partition)
            events.append(_event(resource, "move", f"from {_list(held)} to {_list(state.replicas)}"))
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


def config_events(
    cluster: str,
    before: Mapping[tuple[str, str], Mapping[str, ConfigEntry]],
    after: Mapping[tuple[str, str], Mapping[str, ConfigEntry]],
) -> list[Event]:
    """One `config_change` per setting whose value differs; a topic that is new or gone is no change of config."""
    events = []
    for (scope, owner), settings in after.items():
        known = before.get((scope, owner))
        resource = _of_quota(cluster, owner) if scope == "quota" else resource_id(cluster, scope, owner)
        for name in sorted(settings.keys() | known.keys()) if known is not None else ():
            was, now = _value(known, name), _value(settings, name)
            if was != now:
                events.append(_event(resource, "config_change", f"{name}: {was} to {now}"))
    if len(events) <= MOST_CONFIG_EVENTS:
        return events
    rest = f"{len(events) - MOST_CONFIG_EVENTS} more settings changed at once"
    return [*events[:MOST_CONFIG_EVENTS], _event(resource_id(cluster), "config_change", rest)]


def _of_quota(cluster: str, entity: str) -> str:
    """`user=alice,client-id=x` is about the principal, `client-id=x` about the client."""
    parts = dict(part.split("=", 1) for part in entity.split(",") if "=" in part)
    if "user" in parts:
        return resource_id(cluster, "principal", f"User:{parts['user']}")
    return resource_id(cluster, "client", parts["client-id"]) if "client-id" in parts else resource_id(cluster)


def _value(settings: Mapping[str, ConfigEntry] | None, name: str) -> str:
    entry = settings.get(name) if settings else None
    return "unset" if entry is None or entry.value is None else entry.value


def _list(brokers: tuple[int, ...]) -> str:
    return ",".join(str(broker) for broker in brokers)


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
