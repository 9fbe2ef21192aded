"""A cluster in memory that records every call, and a state file that can be told to fail: peers of the real ones."""

from __future__ import annotations

from agent.collect.errors import CollectError
from agent.collect.shapes import BrokerNode, ConfigEntry, PartitionState, Reassignment, Topology


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Dies at the n-th time it is passed; never where `at` is None."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.passed = at, 0

    def burn(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            raise Crash


class RecordingCluster:
    """Speaks the executor's Protocol. `polls_to_finish`: how many looks a move takes; None: it never ends."""

    def __init__(
        self, owners: dict[tuple[str, int], list[int]], brokers=(0, 1, 2), polls_to_finish: int | None = 1
    ) -> None:
        self.replicas = {key: tuple(value) for key, value in owners.items()}
        self.leaders = {key: value[0] for key, value in owners.items()}
        self.brokers = list(brokers)
        self.cluster_id = "c"
        self.configs = {"orders": {"retention.ms": ConfigEntry(value="1000", source="DEFAULT_CONFIG", read_only=False)}}
        self.moving: dict[tuple[str, int], list] = {}
        self.polls_to_finish = polls_to_finish
        self.broker_settings: dict[int, dict[str, str]] = {}
        self.silent: set[int] = set()
        """Brokers that answer nothing about themselves."""
        self.throttled: list[bool] = []
        """Of each reassignment that was begun: whether a throttle was on."""
        self.sticky_leaders = False
        self.lose_answers = False
        self.refuse: str | None = None
        self.effects: list[tuple] = []
        self.fuse = Fuse()

    def topology(self) -> Topology:
        return Topology(
            cluster_id=self.cluster_id,
            controller=0,
            brokers=tuple(BrokerNode(id=id, host="localhost", port=1, rack=None) for id in self.brokers),
            partitions=tuple(
                PartitionState(
                    topic=key[0], partition=key[1], leader=self.leaders[key], epoch=0, replicas=replicas, isr=replicas
                )
                for key, replicas in sorted(self.replicas.items())
            ),
            internal=frozenset(),
        )

    def list_reassignments(self):
        for key, (replicas, left) in list(self.moving.items()):
            if left is not None and left <= 0:
                self._finish(key, replicas)
            elif left is not None:
                self.moving[key][1] -= 1
        return {
            key: Reassignment(
                replicas=(*to, *(broker for broker in self.replicas[key] if broker not in to)),
                adding=tuple(broker for broker in to if broker not in self.replicas[key]),
                removing=tuple(broker for broker in self.replicas[key] if broker not in to),
            )
            for key, (to, _) in self.moving.items()
        }

    def _finish(self, key, replicas) -> None:
        self.replicas[key] = tuple(replicas)
        if not (self.sticky_leaders and self.leaders[key] in replicas):
            self.leaders[key] = replicas[0]
        del self.moving[key]

    def reassign(self, targets):
        self.fuse.burn()
        if self.refuse:
            return dict.fromkeys(targets, self.refuse)
        for key, replicas in targets.items():
            if replicas is None:
                if key in self.moving:
                    to, old = self.moving.pop(key)[0], self.replicas[key]
                    self.replicas[key] = tuple(broker for broker in dict.fromkeys([*to, *old]) if broker in old)
                self.effects.append(("cancel", key))
            else:
                self.throttled.append(bool(self.broker_settings))
                self.moving[key] = [list(replicas), self.polls_to_finish]
                self.effects.append(("reassign", key, tuple(replicas)))
        self.fuse.burn()
        if self.lose_answers:
            raise CollectError("timed out")
        return dict.fromkeys(targets)

    def elect_leaders(self, partitions) -> None:
        for key in partitions:
            self.leaders[key] = self.replicas[key][0]
            self.effects.append(("elect", key))

    def topic_configs(self, topics):
        return {topic: dict(self.configs[topic]) for topic in topics if topic in self.configs}

    def broker_configs(self, brokers):
        return {
            str(id): {
                name: ConfigEntry(value=value, source="DYNAMIC_BROKER_CONFIG", read_only=False)
                for name, value in self.broker_settings.get(id, {}).items()
            }
            for id in brokers
            if id not in self.silent
        }

    def set_broker_configs(self, broker, changes):
        self.fuse.burn()
        if broker in self.silent:
            raise CollectError(f"no answer from broker {broker}")
        own = self.broker_settings.setdefault(broker, {})
        own |= {name: value for name, value in changes.items() if value is not None}
        for name in [name for name, value in changes.items() if value is None]:
            own.pop(name, None)
        if not own:
            del self.broker_settings[broker]
        self.fuse.burn()

    def replica_sizes(self, partition, brokers):
        return {}

    @property
    def throttles(self):
        """What is left of any throttle."""
        lists = {name: entry.value for name, entry in self.configs["orders"].items() if "throttled" in name}
        return {**lists, **self.broker_settings}

    def alter_topic_configs(self, topic, set_to, delete=()):
        for name, value in set_to.items():
            self.configs[topic][name] = ConfigEntry(value=value, source="DYNAMIC_TOPIC_CONFIG", read_only=False)
        for name in [name for name in delete if "throttled" in name]:
            self.configs[topic].pop(name, None)
        for name in [name for name in delete if "throttled" not in name]:
            self.configs[topic][name] = ConfigEntry(value="1000", source="DEFAULT_CONFIG", read_only=False)
        if not any("throttled" in name for name in (*set_to, *delete)):
            self.effects.append(("alter", topic, dict(set_to), tuple(delete)))


class FusedState:
    """A real State whose writes pass a fuse, before and after."""

    def __init__(self, state, fuse: Fuse) -> None:
        self._state, self._fuse = state, fuse

    def put(self, kind, id, body) -> None:
        self._fuse.burn()
        self._state.put(kind, id, body)
        self._fuse.burn()

    def append_audit(self, entry):
        self._fuse.burn()
        return self._state.append_audit(entry)

    def __getattr__(self, name):
        return getattr(self._state, name)
