"""One look through the admin API, and what it becomes in the store.

Offsets are samples like any other (`admin_*` series of the target `admin`), so rates and retention treat them alike.
Structure (nodes, partitions, groups, members, configs) is stored whole when it has changed and once an hour; an empty
structure is one row of NULLs, because no rows would mean "as before".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.collect.errors import CollectError
from agent.collect.security import Check
from agent.collect.shapes import ConfigEntry, Group, Inventory, LogDir, LogRange, PartitionId, Topology
from agent.store.batch import Columns, objects, texts

ADMIN = "admin"
"""The target's name in `source`; areas that could not be read are `admin/<area>`."""

Configs = dict[tuple[str, str], dict[str, ConfigEntry]]
"""(scope, owner) to settings; scope is topic, broker or quota."""


@dataclass(frozen=True, kw_only=True)
class AdminLook:
    """What was seen, or why nothing was."""

    topology: Topology | None = None
    ranges: Mapping[PartitionId, LogRange] = field(default_factory=dict)
    groups: Mapping[str, Group] | None = None
    committed: Mapping[str, Mapping[PartitionId, int]] = field(default_factory=dict)
    configs: Configs | None = None
    inventory: Inventory | None = None
    reason: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    took_s: float = 0.0


class AdminReader(Protocol):
    """The readings of `agent.collect.admin.ClusterAdmin`; a cluster held by hand has them too."""

    notes: dict[str, str]

    def topology(self) -> Topology: ...

    def groups(self, brokers: Collection[int]) -> dict[str, Group]: ...

    def committed(self, groups: Iterable[Group]) -> dict[str, dict[PartitionId, int]]: ...

    def log_ranges(self, topology: Topology) -> dict[PartitionId, LogRange]: ...

    def topic_configs(self, topics: Collection[str]) -> dict[str, dict[str, ConfigEntry]]: ...

    def broker_configs(self, brokers: Iterable[int]) -> dict[str, dict[str, ConfigEntry]]: ...

    def inventory(self, topology: Topology) -> Inventory: ...

    def close(self) -> None: ...


def look(admin: AdminReader, *, with_configs: bool) -> AdminLook:
    """Reads everything a round needs; blocking, and never raises for a cluster that does not answer."""
    try:
        topology = admin.topology()
        nodes = [broker.id for broker in topology.brokers]
        groups = admin.groups(nodes)
        readable = None if "groups" in admin.notes and not groups else groups
        committed = admin.committed(groups.values())
        ranges = admin.log_ranges(topology)
        inventory = admin.inventory(topology) if with_configs else None
        configs = None if inventory is None else _configs(admin, topology, nodes, inventory)
    except CollectError as error:
        return AdminLook(reason=str(error))
    return AdminLook(
        topology=topology,
        ranges=ranges,
        groups=readable,
        committed=committed,
        configs=configs,
        inventory=inventory,
        notes=dict(admin.notes),
    )


def _configs(admin: AdminReader, topology: Topology, nodes: list[int], inventory: Inventory) -> Configs:
    topics = {state.topic for state in topology.partitions}
    found: Configs = {("topic", topic): entries for topic, entries in admin.topic_configs(topics).items()}
    found |= {("broker", broker): entries for broker, entries in admin.broker_configs(nodes).items()}
    for quota in inventory.quotas or ():
        found["quota", quota.entity] = {
            name: ConfigEntry(value=f"{limit:g}", source="DYNAMIC_CLIENT_QUOTA", read_only=False)
            for name, limit in quota.limits.items()
        }
    return found


def node_columns(cluster: str, topology: Topology) -> Columns:
    brokers = topology.brokers
    return {
        "cluster": texts([cluster] * len(brokers)),
        "broker": texts([str(broker.id) for broker in brokers]),
        "host": texts([broker.host for broker in brokers]),
        "port": objects([broker.port for broker in brokers]),
        "rack": texts([broker.rack for broker in brokers]),
        "controller": objects([broker.id == topology.controller for broker in brokers]),
    }


def partition_columns(cluster: str, topology: Topology) -> Columns:
    states = topology.partitions
    return {
        "cluster": texts([cluster] * len(states)),
        "topic": texts([state.topic for state in states]),
        "part": objects([state.partition for state in states]),
        "leader": texts([None if state.leader < 0 else str(state.leader) for state in states]),
        "epoch": objects([state.epoch for state in states]),
        "replicas": objects([[str(broker) for broker in state.replicas] for state in states]),
        "isr": objects([[str(broker) for broker in state.isr] for state in states]),
        "internal": objects([state.topic in topology.internal for state in states]),
    }


def group_columns(cluster: str, groups: Mapping[str, Group]) -> Columns:
    known = list(groups.values())
    return {
        "cluster": texts([cluster] * len(known)),
        "group_id": texts([group.id for group in known]),
        "state": texts([group.state or None for group in known]),
        "protocol": texts([group.protocol or None for group in known]),
        "coordinator": texts([str(group.coordinator) for group in known]),
        "members": objects([None if group.members is None else len(group.members) for group in known]),
    }


def member_columns(cluster: str, groups: Mapping[str, Group]) -> Columns:
    """One row per member and partition, and one with no partition for a member that has none."""
    rows = [
        (group.id, member, topic, partition)
        for group in groups.values()
        for member in group.members or ()
        for topic, partition in (member.partitions or ((None, None),))
    ]
    return {
        "cluster": texts([cluster] * len(rows)),
        "group_id": texts([row[0] for row in rows]),
        "member_id": texts([row[1].id for row in rows]),
        "client_id": texts([row[1].client_id for row in rows]),
        "host": texts([row[1].host for row in rows]),
        "topic": texts([row[2] for row in rows]),
        "part": objects([row[3] for row in rows]),
    }


def config_columns(cluster: str, configs: Configs) -> Columns:
    rows = [(scope, owner, name, entry) for (scope, owner), found in configs.items() for name, entry in found.items()]
    return {
        "cluster": texts([cluster] * len(rows)),
        "scope": texts([row[0] for row in rows]),
        "owner": texts([row[1] for row in rows]),
        "name": texts([row[2] for row in rows]),
        "value": texts([row[3].value for row in rows]),
        "source": texts([row[3].source for row in rows]),
    }


def log_dir_columns(cluster: str, dirs: Iterable[LogDir]) -> Columns:
    """One row per partition's log, and one without for a directory that holds none."""
    rows: list[tuple[LogDir, str | None, int | None, int | None]] = []
    for held in dirs:
        rows += [(held, topic, part, size) for (topic, part), size in held.sizes.items()]
        if not held.sizes:
            rows.append((held, None, None, None))
    return {
        "cluster": texts([cluster] * len(rows)),
        "broker": texts([str(row[0].broker) for row in rows]),
        "path": texts([row[0].path for row in rows]),
        "total_bytes": objects([row[0].total_bytes for row in rows]),
        "usable_bytes": objects([row[0].usable_bytes for row in rows]),
        "topic": texts([row[1] for row in rows]),
        "part": objects([row[2] for row in rows]),
        "size_bytes": objects([row[3] for row in rows]),
    }


def security_columns(cluster: str, rows: list[Check]) -> Columns:
    return {
        "cluster": texts([cluster] * len(rows)),
        "resource": texts([row.resource for row in rows]),
        "subject": texts([row.subject for row in rows]),
        "item": texts([row.check for row in rows]),
        "value": texts([row.value for row in rows]),
        "expires_us": objects([row.expires_at and int(row.expires_at.timestamp() * 1e6) for row in rows]),
    }


def or_empty(columns: Columns, cluster: str) -> Columns:
    """The columns, or the one row that says: nothing is there."""
    if len(columns["cluster"]):
        return columns
    return {"cluster": texts([cluster])}
