"""The typed actions the executor can take: how each reads the cluster, starts, and knows that it is done.

An image is what a step's `pre_image` holds, read anew. Adding an action means adding a class here and naming it in
ACTIONS; nothing else in this room knows what an action does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.act.cluster import Admin
from agent.act.errors import StepFailed
from agent.collect.shapes import PartitionId
from agent.model.amounts import size
from agent.model.finding import Cell
from agent.plan.configs import OVERRIDE

Values = Mapping[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a change is that is under way."""

    copied_bytes: int | None
    """None where nobody says."""
    text: str


class Action(Protocol):
    def image(self, admin: Admin, params: Values) -> dict[str, Cell]:
        """What the cluster has now, where the step would change it."""

    def reached(self, image: Values, params: Values) -> bool:
        """Whether the image is what `params` ask for."""

    def under_way(self, admin: Admin, params: Values) -> bool:
        """Whether a change of this target is running."""

    def heads_for(self, admin: Admin, params: Values) -> bool:
        """Whether the change that is running leads to what `params` ask for."""

    def start(self, admin: Admin, params: Values) -> None:
        """The one call. StepFailed when the cluster answers no; anything else raised means that nobody knows."""

    def cancel(self, admin: Admin, params: Values) -> None:
        """Stops a running change of this target."""

    def nudge(self, admin: Admin, image: Values, params: Values) -> bool:
        """A second call that some clusters need; says whether it was made."""

    def holders(self, image: Values) -> list[int]:
        """Brokers that hold the data already."""

    def progress(self, admin: Admin, params: Values) -> Progress | None:
        """How far the running change is; None where there is nothing to say."""


class MovePartitions:
    """AlterPartitionReassignments: `replicas`, the owner first."""

    def image(self, admin: Admin, params: Values) -> dict[str, Cell]:
        topic, number = _partition(params)
        topology = admin.topology()
        live = {broker.id for broker in topology.brokers}
        for state in topology.partitions:
            if (state.topic, state.partition) == (topic, number):
                leader = state.leader if state.leader in live else -1
                return {"topic": topic, "partition": number, "leader": leader, "replicas": list(state.replicas)}
        raise StepFailed(f"{topic}-{number} is not in the cluster any more")

    def reached(self, image: Values, params: Values) -> bool:
        replicas = params["replicas"]
        return isinstance(replicas, list) and image["replicas"] == replicas and image["leader"] == replicas[0]

    def under_way(self, admin: Admin, params: Values) -> bool:
        return _partition(params) in admin.list_reassignments()

    def heads_for(self, admin: Admin, params: Values) -> bool:
        moving, replicas = admin.list_reassignments().get(_partition(params)), params["replicas"]
        if moving is None or not isinstance(replicas, list):
            return False
        return set(moving.replicas) - set(moving.removing) == {int(broker) for broker in replicas}

    def start(self, admin: Admin, params: Values) -> None:
        key, replicas = _partition(params), params["replicas"]
        wanted = [int(broker) for broker in replicas] if isinstance(replicas, list) else []
        error = admin.reassign({key: wanted})[key]
        if error is not None:
            raise StepFailed(f"the cluster refused to move {key[0]}-{key[1]}: {error}")

    def cancel(self, admin: Admin, params: Values) -> None:
        admin.reassign({_partition(params): None})

    def nudge(self, admin: Admin, image: Values, params: Values) -> bool:
        """Apache Kafka keeps a leader that is still a replica until the preferred one is elected."""
        if image["replicas"] != params["replicas"] or self.reached(image, params):
            return False
        admin.elect_leaders([_partition(params)])
        return True

    def holders(self, image: Values) -> list[int]:
        replicas = image["replicas"]
        return [int(broker) for broker in replicas] if isinstance(replicas, list) else []

    def progress(self, admin: Admin, params: Values) -> Progress | None:
        key = _partition(params)
        moving = admin.list_reassignments().get(key)
        if moving is None:
            return None
        live = {broker.id for broker in admin.topology().brokers}
        away = sorted({*moving.replicas, *moving.adding} - live)
        held = admin.replica_sizes(key, sorted({*moving.replicas, *moving.adding} & live))
        copies = [held[broker] for broker in moving.adding if broker in held]
        whole = max((held[broker] for broker in held if broker not in moving.adding), default=0)
        where = ", ".join(f"broker {broker}" for broker in moving.adding)
        text = f"{key[0]}-{key[1]} to {where}: {size(sum(copies))} of {size(whole * len(moving.adding))} copied"
        waits = "".join(f"; broker {broker} does not answer, and is waited for" for broker in away)
        return Progress(copied_bytes=sum(copies) if held else None, text=f"{text}{waits}")


class AlterTopic:
    """IncrementalAlterConfigs of one setting; `value` None removes the override."""

    def image(self, admin: Admin, params: Values) -> dict[str, Cell]:
        topic, name = str(params["topic"]), str(params["name"])
        configs = admin.topic_configs([topic]).get(topic)
        if configs is None:
            raise StepFailed(f"the configuration of {topic} cannot be read")
        entry = configs.get(name)
        value = entry.value if entry is not None and entry.source == OVERRIDE else None
        return {"topic": topic, "name": name, "value": value}

    def reached(self, image: Values, params: Values) -> bool:
        return image["value"] == params["value"]

    def under_way(self, admin: Admin, params: Values) -> bool:
        return False

    def heads_for(self, admin: Admin, params: Values) -> bool:
        return False

    def start(self, admin: Admin, params: Values) -> None:
        topic, name, value = str(params["topic"]), str(params["name"]), params["value"]
        set_to, delete = ({}, [name]) if value is None else ({name: str(value)}, [])
        error = admin.alter_topic_configs(topic, set_to, delete)
        if error is not None:
            raise StepFailed(f"the cluster refused to change {name} of {topic}: {error}")

    def cancel(self, admin: Admin, params: Values) -> None:
        """A configuration change is over when it is answered."""

    def nudge(self, admin: Admin, image: Values, params: Values) -> bool:
        return False

    def holders(self, image: Values) -> list[int]:
        return []

    def progress(self, admin: Admin, params: Values) -> Progress | None:
        return None


ACTIONS: Mapping[str, Action] = {"MovePartitions": MovePartitions(), "AlterTopic": AlterTopic()}


def _partition(params: Values) -> PartitionId:
    return str(params["topic"]), int(str(params["partition"]))
