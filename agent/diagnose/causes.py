"""Who is a consequence of whom: the relations that `explained_by` names, read from the views of the same round."""

from __future__ import annotations

from agent.model.resource import parts
from rules.engine import NoData, Workspace


class Relations:
    """Answers whether a cause and a resource stand in a relation. What cannot be known is not related."""

    def __init__(self, workspace: Workspace, window_s: float) -> None:
        self._workspace = workspace
        self._window_s = window_s

    def related(self, relation: str, cause: str, resource: str) -> bool:
        """Whether `cause` is `relation` (same, any, leader_of, coordinator_of, member_of, store_of) for `resource`."""
        if parts(cause)[0] != parts(resource)[0]:
            return False
        if relation == "same":
            return cause == resource
        if relation == "leader_of":
            return self._leads(parts(cause)[-1], resource)
        if relation == "coordinator_of":
            return self._coordinates(parts(cause)[-1], resource)
        if relation == "member_of":
            return self._is_member(parts(cause)[-1], resource)
        return relation == "any" or parts(cause)[1] == "store"

    def _leads(self, broker: str, resource: str) -> bool:
        """Whether the broker leads, or should lead, a partition of the topic, partition or group."""
        touched = self._partitions(resource)
        for row in self._rows("partition", parts(resource)[0]):
            replicas = row["replicas"] or [""]
            owners = {row["leader"], replicas[0] if isinstance(replicas, list) else None}
            if broker in owners and any(_inside(place, row["topic"], row["partition"]) for place in touched):
                return True
        return False

    def _partitions(self, resource: str) -> list[tuple[object, object]]:
        """(topic, partition) pairs that the resource consists of; None stands for every partition."""
        cluster, kind, *names = parts(resource)
        if kind == "topic":
            return [(names[0], int(names[1]) if len(names) > 1 else None)]
        if kind == "group":
            rows = self._rows("group_lag", cluster)
            return [(row["topic"], row["partition"]) for row in rows if row["group_id"] == names[0]]
        return []

    def _coordinates(self, broker: str, resource: str) -> bool:
        rows = self._rows("group_state", parts(resource)[0])
        return any(row["resource"] == resource and row["coordinator"] == broker for row in rows)

    def _is_member(self, client: str, resource: str) -> bool:
        rows = self._rows("group_lag", parts(resource)[0])
        return any(row["resource"] == resource and str(row["member_id"] or "").startswith(client) for row in rows)

    def _rows(self, view: str, cluster: str) -> list[dict[str, object]]:
        try:
            rows = self._workspace.rows(view, self._window_s, "cluster = ?", [cluster])
        except NoData:
            return []
        return [dict(row) for row in rows]


def _inside(place: tuple[object, object], topic: object, partition: object) -> bool:
    return place[0] == topic and place[1] in (None, partition)
