"""What a topic's configs say about its log, as they hold at this broker, and whether the clock may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.clock import Clock
from broker.configs import Configs
from broker.metadata.image import Image, Topic
from broker.wal.kinds import Say

STEP_S = 60.0
PAUSE_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How long records of a topic are kept, and by which rule."""

    by_age: bool
    """cleanup.policy has delete."""
    by_key: bool
    """cleanup.policy has compact."""
    retention_ms: int
    """-1: for ever."""
    retention_bytes: int
    """-1: no limit."""
    delete_retention_ms: int
    min_lag_ms: int
    max_lag_ms: int
    min_dirty_ratio: float


def keeping(topic: Topic, image: Image, broker_id: int, static: Mapping[str, str]) -> Keeping:
    """What holds for a topic; `static` is what the broker was started with."""
    configs = Configs(broker_id=broker_id, static=static, dynamic=image.broker_configs)

    def value(name: str) -> str:
        return configs.topic(name, topic.configs).value

    policy = {item.strip() for item in value("cleanup.policy").split(",")}
    return Keeping(
        by_age="delete" in policy,
        by_key="compact" in policy,
        retention_ms=int(value("retention.ms")),
        retention_bytes=int(value("retention.bytes")),
        delete_retention_ms=int(value("delete.retention.ms")),
        min_lag_ms=int(value("min.compaction.lag.ms")),
        max_lag_ms=int(value("max.compaction.lag.ms")),
        min_dirty_ratio=float(value("min.cleanable.dirty.ratio")),
    )


class Rules:
    """`keeping` once per topic, not once per partition; for one round."""

    def __init__(self, image: Image, broker_id: int, static: Mapping[str, str]) -> None:
        self._image, self._id, self._static = image, broker_id, static
        self._known: dict[str, Keeping | None] = {}

    def of(self, name: str) -> Keeping | None:
        """None for a topic that is internal, or gone."""
        if name not in self._known:
            topic = self._image.topics.get(name)
            served = topic is not None and not topic.internal
            self._known[name] = keeping(topic, self._image, self._id, self._static) if topic and served else None
        return self._known[name]


class WallWatch:
    """Whether anything may be deleted on the word of the wall clock: not within an hour of a step of more than a minute
    (law 11).
    """

    def __init__(self, clock: Clock, say: Say) -> None:
        self._clock, self._say = clock, say
        self._offset_s = self._now_offset_s()
        self._paused_until = 0.0

    def trusted(self) -> bool:
        """Looks at the clock; to be asked often, so that a step is seen."""
        now, offset_s = self._clock.monotonic(), self._now_offset_s()
        if abs(offset_s - self._offset_s) > STEP_S:
            self._say(
                f"the wall clock stepped by {offset_s - self._offset_s:.0f} s: retention and cleaning pause for an hour"
            )
            self._offset_s, self._paused_until = offset_s, now + PAUSE_S
        return now >= self._paused_until

    def _now_offset_s(self) -> float:
        return self._clock.wall_ms() / 1000 - self._clock.monotonic()
