"""Configs of groups (KIP-848) and of clients' metrics (KIP-714): set at run time, under Kafka's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.config_keys import MAX_INT, ConfigKey, Kind
from broker.errors import InvalidConfig
from broker.patterns import compile_pattern

GROUP, CLIENT_METRICS = "group", "client-metrics"
"""Kinds of resources, as the metadata has them."""
MOST = {GROUP: 10_000, CLIENT_METRICS: 100}
"""Resources of a kind that may have configs: each is in every broker's memory, and each subscription is looked at for
each client that asks."""
MATCHED = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
)
"""What of a client `match` may look at. (Kafka has client_source_port too, which says nothing.)"""

GROUP_CONFIGS: Mapping[str, ConfigKey] = {
    key.name: key
    for key in (
        ConfigKey(
            name="consumer.session.timeout.ms",
            kind=Kind.INT,
            default="45000",
            low=1000,
            high=1_800_000,
            synonym="group.consumer.session.timeout.ms",
            doc="How long a member of this group may be silent.",
        ),
        ConfigKey(
            name="consumer.heartbeat.interval.ms",
            kind=Kind.INT,
            default="5000",
            low=100,
            high=MAX_INT,
            synonym="group.consumer.heartbeat.interval.ms",
            doc="How often a member of this group is to speak: less than its session.",
        ),
        ConfigKey(
            name="share.session.timeout.ms",
            kind=Kind.INT,
            default="45000",
            low=1000,
            high=1_800_000,
            synonym="group.share.session.timeout.ms",
            doc="How long a member of this share group may be silent.",
        ),
        ConfigKey(
            name="share.heartbeat.interval.ms",
            kind=Kind.INT,
            default="5000",
            low=100,
            high=MAX_INT,
            synonym="group.share.heartbeat.interval.ms",
            doc="How often a member of this share group is to speak: less than its session.",
        ),
        ConfigKey(
            name="share.record.lock.duration.ms",
            kind=Kind.INT,
            default="30000",
            low=1000,
            high=3_600_000,
            synonym="group.share.record.lock.duration.ms",
            doc="How long a record stays with the member it was given to, until it is given to another.",
        ),
        ConfigKey(
            name="share.auto.offset.reset",
            kind=Kind.STRING,
            default="latest",
            doc="Where this share group begins: latest, earliest, or by_duration:PnDTnHnMnS before now.",
        ),
        ConfigKey(
            name="share.isolation.level",
            kind=Kind.STRING,
            default="read_uncommitted",
            values=("read_uncommitted", "read_committed"),
            doc="Whether this share group is given what transactions have not committed.",
        ),
    )
}
CLIENT_METRICS_CONFIGS: Mapping[str, ConfigKey] = {
    key.name: key
    for key in (
        ConfigKey(
            name="interval.ms",
            kind=Kind.INT,
            default="300000",
            low=100,
            high=3_600_000,
            doc="How often these clients report.",
        ),
        ConfigKey(
            name="match",
            kind=Kind.LIST,
            default="",
            doc=f"Which clients: NAME=PATTERN, all of them, of {', '.join(MATCHED)}. Empty: all clients.",
        ),
        ConfigKey(
            name="metrics",
            kind=Kind.LIST,
            default="",
            doc="Which metrics, by the beginnings of their names; * for all. Empty: none.",
        ),
    )
}


def of_group(name: str) -> ConfigKey:
    """InvalidConfig when there is no such config of a group."""
    if name not in GROUP_CONFIGS:
        raise InvalidConfig(f"Unknown group config name: {name[:128]}")
    return GROUP_CONFIGS[name]


def of_client_metrics(name: str) -> ConfigKey:
    """InvalidConfig when there is no such config of a subscription."""
    if name not in CLIENT_METRICS_CONFIGS:
        raise InvalidConfig(f"Unknown client metrics config name: {name[:128]}")
    return CLIENT_METRICS_CONFIGS[name]


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What some clients are asked to report."""

    interval_ms: int
    metrics: tuple[str, ...]
    match: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, configs: Mapping[str, str]) -> Subscription:
        """InvalidConfig that says what of `match` cannot be read."""
        values = {name: configs.get(name, key.default) for name, key in CLIENT_METRICS_CONFIGS.items()}
        return cls(
            interval_ms=int(values["interval.ms"]),
            metrics=tuple("" if each == "*" else each for each in _items(values["metrics"])),
            match=tuple(_pattern(each) for each in _items(values["match"])),
        )

    def fits(self, client: Mapping[str, str]) -> bool:
        """Whether every pattern is all of what the client says of itself."""
        return all(pattern.fullmatch(client[name]) is not None for name, pattern in self.match)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _pattern(text: str) -> tuple[str, Any]:
    name, equals, pattern = text.partition("=")
    if not equals or name not in MATCHED or not pattern:
        raise InvalidConfig(f"match {text[:64]}: write NAME=PATTERN, NAME one of {', '.join(MATCHED)}")
    try:
        return name, compile_pattern(pattern)
    except ValueError as error:
        raise InvalidConfig(f"match {text[:64]}: {error}") from None
