"""What the agent reads from, and may ask of, a cluster through Kafka's own admin API.

Blocking, with a timeout on every call: run it in a thread. Each reading stands alone: what a principal may not see, or
a cluster does not offer, is missing from the result and named in `notes` (area -> reason), so a report gets shorter
instead of failing. Writing methods raise, and answer per resource with Kafka's error name or None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import kafka.errors as kafka_errors
from kafka import TopicPartition
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType
from kafka.protocol.admin import DescribeConfigsRequest, DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer import ListOffsetsRequest, OffsetFetchRequest
from kafka.protocol.metadata import MetadataRequest

from agent.collect import copying, inventory
from agent.collect.copying import BROKER, TOPIC
from agent.collect.errors import CollectError, NotOffered
from agent.collect.link import Link
from agent.collect.membership import assigned_partitions
from agent.collect.properties import AdminOptions, read_properties
from agent.collect.shapes import (
    BrokerNode,
    ConfigEntry,
    Group,
    Inventory,
    LogRange,
    Member,
    PartitionId,
    PartitionState,
    Reassignment,
    Topology,
)
from agent.model.clock import Clock, SystemClock

# kafka-python has no annotations.
TopicResource: Any = ConfigResource
ConfigsRequest: Any = DescribeConfigsRequest
EMPTY = "Empty"
"""A group's state: it has committed offsets, and no members."""
SHARE = "share"
error_for_code: Any = kafka_errors.for_code

EARLIEST, LATEST = -2, -1
CONFIG_SOURCES = {
    1: "DYNAMIC_TOPIC_CONFIG",
    2: "DYNAMIC_BROKER_CONFIG",
    3: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    4: "STATIC_BROKER_CONFIG",
    5: "DEFAULT_CONFIG",
}
CONFIGS_PER_CALL = 200


class ClusterAdmin:
    """One cluster's admin API."""

    def __init__(
        self,
        bootstrap: str,
        command_config: Path | None = None,
        *,
        clock: Clock | None = None,
        timeout_s: float = 4.0,
        calls_per_s: float = 100.0,
    ) -> None:
        options = AdminOptions() if command_config is None else read_properties(command_config)
        self.link = Link(bootstrap, options, clock=clock or SystemClock(), timeout_s=timeout_s, calls_per_s=calls_per_s)
        self.notes: dict[str, str] = {}
        self._context = options.arguments.get("ssl_context")

    @property
    def calls(self) -> Mapping[str, int]:
        """Requests sent so far, by API name."""
        return self.link.calls

    def close(self) -> None:
        self.link.close()

    # Reading

    def topology(self) -> Topology:
        """Brokers, controller, topics and partitions, in one call. Raises: without it there is nothing to report."""
        answer = self.link.send(
            MetadataRequest(
                topics=None,
                allow_auto_topic_creation=False,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
            )
        )
        topics = sorted((topic for topic in answer.topics if topic.name), key=lambda topic: str(topic.name))
        return Topology(
            cluster_id=getattr(answer, "cluster_id", None),
            controller=answer.controller_id,
            brokers=tuple(
                BrokerNode(id=node.node_id, host=node.host, port=node.port, rack=node.rack or None)
                for node in sorted(answer.brokers, key=lambda node: int(node.node_id))
            ),
            partitions=tuple(_partition(topic.name, state) for topic in topics for state in _ordered(topic)),
            internal=frozenset(topic.name for topic in topics if topic.is_internal),
        )

    def topic_configs(self, topics: Collection[str]) -> dict[str, dict[str, ConfigEntry]]:
        """Every setting of the topics, defaults included."""
        names = sorted(topics)
        batches = [names[at : at + CONFIGS_PER_CALL] for at in range(0, len(names), CONFIGS_PER_CALL)]
        requests = [(None, _describe_configs(TOPIC, batch)) for batch in batches]
        return self._configs("topic configs", requests)

    def broker_configs(self, brokers: Iterable[int]) -> dict[str, dict[str, ConfigEntry]]:
        """Every setting of each broker, asked from that broker."""
        requests = [(broker, _describe_configs(BROKER, [str(broker)])) for broker in brokers]
        return self._configs("broker configs", requests)

    def groups(self, brokers: Collection[int]) -> dict[str, Group]:
        """Every group with its members, asked from the brokers: the one that lists a group coordinates it."""
        nodes = sorted(brokers)
        listed: dict[int, dict[str, Any]] = {}
        for node, answer in zip(nodes, self.link.send_all([(n, _list_groups()) for n in nodes]), strict=True):
            if self._usable("groups", answer):
                listed[node] = {group.group_id: group for group in answer.groups}
        classic = {node: sorted(id for id, entry in ids.items() if _is_classic(entry)) for node, ids in listed.items()}
        asked = [(node, DescribeGroupsRequest(groups=ids)) for node, ids in classic.items() if ids]
        described: dict[str, Any] = {}
        for _, answer in zip(asked, self.link.send_all(asked), strict=True):
            if not isinstance(answer, CollectError):
                described |= {group.group_id: group for group in answer.groups if not group.error_code}
            else:
                self.notes["group members"] = str(answer)
        return {
            id: _group(id, node, entry, described.get(id)) for node, ids in listed.items() for id, entry in ids.items()
        }

    def committed(self, groups: Iterable[Group]) -> dict[str, dict[PartitionId, int]]:
        """Committed offsets by group, asked from each group's coordinator; share groups commit none."""
        known = [group for group in groups if group.protocol != SHARE]
        asked = [(group.coordinator, _offset_fetch(group.id)) for group in known]
        offsets: dict[str, dict[PartitionId, int]] = {}
        for group, answer in zip(known, self.link.send_all(asked), strict=True):
            if self._usable("committed offsets", answer):
                offsets[group.id] = {
                    (topic.name, partition.partition_index): partition.committed_offset
                    for topic in answer.topics
                    for partition in topic.partitions
                    if not partition.error_code and partition.committed_offset >= 0
                }
        return offsets

    def log_ranges(self, topology: Topology) -> dict[PartitionId, LogRange]:
        """Start, high watermark and last stable offset of every partition that has a live leader, asked from it."""
        live = {broker.id for broker in topology.brokers}
        by_leader: dict[int, list[PartitionId]] = {}
        for state in topology.partitions:
            if state.leader in live:
                by_leader.setdefault(state.leader, []).append((state.topic, state.partition))
        kinds = ((EARLIEST, 0), (LATEST, 0), (LATEST, 1))
        asked = [
            (leader, _list_offsets(partitions, timestamp, isolation))
            for timestamp, isolation in kinds
            for leader, partitions in by_leader.items()
        ]
        found: list[dict[PartitionId, int]] = [{}, {}, {}]
        for at, answer in enumerate(self.link.send_all(asked)):
            if self._usable("log offsets", answer):
                found[at // len(by_leader)].update(_offsets(answer))
        starts, ends, stable = found
        return {
            id: LogRange(start=starts[id], end=end, last_stable=stable.get(id))
            for id, end in ends.items()
            if id in starts
        }

    def inventory(self, topology: Topology) -> Inventory:
        """Log directories, ACLs, quotas and certificates, as far as the principal may see them."""
        return Inventory(
            log_dirs=inventory.log_dirs(self.link, [broker.id for broker in topology.brokers], self._usable),
            acls=inventory.acls(self.link, self._usable),
            quotas=inventory.quotas(self.link, self._usable),
            certificates=inventory.certificates(topology.brokers, self._context),
        )

    def list_reassignments(self) -> dict[PartitionId, Reassignment]:
        """The reassignments under way; raises."""
        found = self.link.call("ListPartitionReassignments", lambda client: client.list_partition_reassignments())
        return {
            (id.topic, id.partition): Reassignment(
                replicas=tuple(row["replicas"]),
                adding=tuple(row["adding_replicas"]),
                removing=tuple(row["removing_replicas"]),
            )
            for id, row in found.items()
        }

    def replica_sizes(self, partition: PartitionId, brokers: Iterable[int]) -> dict[int, int]:
        """Bytes of a partition's log at each of the brokers that answers and has one."""
        return copying.replica_sizes(self.link, brokers, partition)

    # Writing: only agent.act calls these

    def reassign(self, targets: Mapping[PartitionId, Collection[int] | None]) -> dict[PartitionId, str | None]:
        """New replicas per partition, the owner first; None cancels. Answers Kafka's error name, or None."""
        wanted = {
            TopicPartition(topic, partition): None if replicas is None else list(replicas)
            for (topic, partition), replicas in targets.items()
        }
        answer = self.link.call(
            "AlterPartitionReassignments", lambda client: client.alter_partition_reassignments(wanted)
        )
        return {id: _error_name(answer.get(TopicPartition(*id))) for id in targets}

    def alter_topic_configs(self, topic: str, set_to: Mapping[str, str], delete: Collection[str] = ()) -> str | None:
        """Sets and unsets settings of a topic (incremental); answers the cluster's error, or None."""
        changes: dict[str, Any] = {name: (AlterConfigOp.SET, value) for name, value in set_to.items()}
        changes |= dict.fromkeys(delete, (AlterConfigOp.DELETE, None))
        resource = TopicResource(ConfigResourceType.TOPIC, topic, changes)
        answer = self.link.call(
            "IncrementalAlterConfigs",
            lambda client: client.alter_configs([resource], raise_on_unknown=False, incremental=True),
        )
        said = str(answer["topic"][topic])
        return None if said == "OK" else said

    def set_broker_configs(self, broker: int, changes: Mapping[str, str | None]) -> None:
        """Sets dynamic settings of one broker, and removes those that are None; raises."""
        copying.change_broker_configs(self.link, broker, changes)

    def create_partitions(self, topic: str, total: int) -> None:
        """Grows a topic to `total` partitions; raises."""
        self.link.call("CreatePartitions", lambda client: client.create_partitions({topic: total}))

    def elect_leaders(self, partitions: Iterable[PartitionId]) -> None:
        """Preferred leaders for the partitions; raises."""
        wanted: dict[str, list[int]] = {}
        for topic, partition in partitions:
            wanted.setdefault(topic, []).append(partition)
        self.link.call("ElectLeaders", lambda client: client.elect_leaders(0, wanted))

    def _configs(self, area: str, requests: Sequence[tuple[int | None, Any]]) -> dict[str, dict[str, ConfigEntry]]:
        found: dict[str, dict[str, ConfigEntry]] = {}
        for answer in self.link.send_all(requests):
            if self._usable(area, answer):
                for result in answer.results:
                    if result.error_code:
                        self.notes[area] = f"{_code_name(result.error_code)} ({result.resource_name})"
                    else:
                        found[result.resource_name] = {entry.name: _config(entry) for entry in result.configs}
        return found

    def _usable(self, area: str, answer: Any) -> bool:
        """Whether an answer can be read; if not, `notes` says why."""
        if isinstance(answer, CollectError):
            reason = "not offered by this cluster" if isinstance(answer, NotOffered) else str(answer)
        elif getattr(answer, "error_code", 0):
            reason = _code_name(answer.error_code)
        else:
            self.notes.pop(area, None)
            return True
        self.notes[area] = reason
        return False


def _partition(topic: str, state: Any) -> PartitionState:
    return PartitionState(
        topic=topic,
        partition=state.partition_index,
        leader=state.leader_id,
        epoch=getattr(state, "leader_epoch", -1),
        replicas=tuple(state.replica_nodes),
        isr=tuple(state.isr_nodes),
    )


def _ordered(topic: Any) -> list[Any]:
    return sorted(topic.partitions, key=lambda state: int(state.partition_index))


def _list_groups() -> Any:
    return ListGroupsRequest(min_version=0)


def _describe_configs(kind: int, names: list[str]) -> Any:
    return ConfigsRequest(resources=[(kind, name, None) for name in names], include_synonyms=False, min_version=0)


def _config(entry: Any) -> ConfigEntry:
    number = getattr(entry, "config_source", -1)
    default = "DEFAULT_CONFIG" if getattr(entry, "is_default", False) else "UNKNOWN"
    return ConfigEntry(
        value=None if entry.is_sensitive else entry.value,
        source=CONFIG_SOURCES.get(number, default),
        read_only=bool(entry.read_only),
    )


def _is_classic(listed: Any) -> bool:
    """DescribeGroups calls a group of a newer kind (KIP-848, KIP-932) Dead, without members, whoever reads in it."""
    return _kind(listed) in ("", "classic")


def _kind(listed: Any) -> str:
    """Kafka itself says Consumer, others consumer."""
    return str(getattr(listed, "group_type", "") or "").lower()


def _group(id: str, coordinator: int, listed: Any, described: Any) -> Group:
    state = getattr(listed, "group_state", "") or ""
    if described is None:
        nobody = () if state == EMPTY and not _is_classic(listed) else None
        return Group(id=id, state=state, protocol=_kind(listed), coordinator=coordinator, members=nobody)
    members = tuple(
        Member(
            id=member.member_id,
            client_id=member.client_id,
            host=member.client_host,
            partitions=assigned_partitions(member.member_assignment),
        )
        for member in described.members
    )
    return Group(
        id=id,
        state=described.group_state or state,
        protocol=described.protocol_data,
        coordinator=coordinator,
        members=members,
    )


def _offset_fetch(group_id: str) -> OffsetFetchRequest:
    # Version 8 batches groups; one group per request keeps an unauthorised group from hiding the others.
    return OffsetFetchRequest(group_id=group_id, topics=None, min_version=2, max_version=7)


def _list_offsets(partitions: Iterable[PartitionId], timestamp: int, isolation: int) -> ListOffsetsRequest:
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    by_topic = ListOffsetsRequest.ListOffsetsTopic
    by_partition = by_topic.ListOffsetsPartition
    return ListOffsetsRequest(
        isolation_level=isolation,
        topics=[
            by_topic(name=topic, partitions=[by_partition(partition_index=at, timestamp=timestamp) for at in numbers])
            for topic, numbers in topics.items()
        ],
        min_version=1 if isolation == 0 else 2,
    )


def _offsets(answer: Any) -> dict[PartitionId, int]:
    return {
        (topic.name, partition.partition_index): partition.offset
        for topic in answer.topics
        for partition in topic.partitions
        if not partition.error_code
    }


def _code_name(code: int) -> str:
    name = str(error_for_code(code).__name__).removesuffix("Error")
    return f"not allowed: {name}" if "Authorization" in name else name


def _error_name(error: Any) -> str | None:
    return None if error is None else str(error.__name__).removesuffix("Error")
