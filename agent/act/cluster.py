"""What the executor needs of a cluster: a few readings, and the calls of its typed actions.

`agent.collect.admin.ClusterAdmin` is one; the recording cluster of the tests is another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from agent.collect.shapes import ConfigEntry, PartitionId, Reassignment, Topology
from agent.model.plan import Plan
from agent.plan.state import state_hash


class Admin(Protocol):
    """Blocking; every call has a timeout and raises when the cluster does not answer."""

    def topology(self) -> Topology: ...

    def topic_configs(self, topics: Collection[str]) -> dict[str, dict[str, ConfigEntry]]: ...

    def broker_configs(self, brokers: Iterable[int]) -> dict[str, dict[str, ConfigEntry]]: ...

    def set_broker_configs(self, broker: int, changes: Mapping[str, str | None]) -> None: ...

    def replica_sizes(self, partition: PartitionId, brokers: Iterable[int]) -> dict[int, int]: ...

    def list_reassignments(self) -> dict[PartitionId, Reassignment]: ...

    def reassign(self, targets: Mapping[PartitionId, Collection[int] | None]) -> dict[PartitionId, str | None]: ...

    def elect_leaders(self, partitions: Iterable[PartitionId]) -> None: ...

    def alter_topic_configs(
        self, topic: str, set_to: Mapping[str, str], delete: Collection[str] = ()
    ) -> str | None: ...


def other_cluster(plan: Plan, topology: Topology) -> str:
    """What is wrong where the plan was made, or approved, for another cluster than the one that answers; else empty.

    A plan from before plans had an id, and a cluster that tells none, are bound by name and picture alone.
    """
    found = topology.cluster_id or ""
    if plan.cluster_id and found != plan.cluster_id:
        return (
            f"{plan.id} was made for the cluster {plan.cluster} with the Kafka id {plan.cluster_id}, and the one that "
            f"answers now has {found or 'none'}: plan anew, or set bootstrap_servers right"
        )
    strangers = [approval for approval in plan.approvals if plan.cluster_id and approval.cluster_id != plan.cluster_id]
    if strangers:
        told = strangers[0]
        return f"{told.by} approved {plan.id} on the Kafka id {told.cluster_id or 'none'}, not on {plan.cluster_id}"
    return ""


def hash_without(plan: Plan, topology: Topology) -> str:
    """The state hash of the cluster as it would be had none of this plan's own finished moves happened.

    So that the second step of a plan does not find the state changed by its first.
    """
    assignment = {(p.topic, p.partition): (p.leader, p.replicas) for p in topology.partitions}
    for step in plan.steps:
        if step.action == "MovePartitions" and step.state in ("done", "journaled"):
            image = step.pre_image
            replicas, leader = image["replicas"], image["leader"]
            key = (str(image["topic"]), int(str(image["partition"])))
            if key in assignment and isinstance(replicas, list) and isinstance(leader, int):
                assignment[key] = (leader, tuple(int(broker) for broker in replicas))
    return state_hash(assignment, [broker.id for broker in topology.brokers])
