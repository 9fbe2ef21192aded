"""The limits of groups, under Kafka's names and with Kafka's defaults where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from broker.groups.share_settings import ShareSettings


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    initial_delay_s: float = 3.0
    """`group.initial.rebalance.delay.ms`: how long an empty group waits for members before its first generation."""
    min_session_s: float = 6.0
    max_session_s: float = 1800.0
    max_size: int = 1000
    """`group.max.size`. Kafka has no limit; nothing here is unbounded (law 12)."""
    max_metadata_bytes: int = 4096
    """`offset.metadata.max.bytes`: what a client may attach to a committed offset."""

    consumer_session_s: float = 45.0
    """`group.consumer.session.timeout.ms`: how long a member of the new protocol may be silent."""
    consumer_heartbeat_s: float = 5.0
    """`group.consumer.heartbeat.interval.ms`: how often it is told to speak."""
    retention_s: float = 604_800.0
    """`offsets.retention.minutes`: how long an empty group's offsets are kept."""
    retention_check_s: float = 600.0
    """`offsets.retention.check.interval.ms`"""
    share: ShareSettings = field(default_factory=ShareSettings)
    """Of share groups (KIP-932)."""

    def of_group(self, own: Mapping[str, str]) -> GroupSettings:
        """With what one group was given (resource_configs.py)."""
        if not own:
            return self
        session_ms, beat_ms = own.get("consumer.session.timeout.ms"), own.get("consumer.heartbeat.interval.ms")
        return replace(
            self,
            consumer_session_s=int(session_ms) / 1000 if session_ms else self.consumer_session_s,
            consumer_heartbeat_s=int(beat_ms) / 1000 if beat_ms else self.consumer_heartbeat_s,
            share=self.share.of_group(own),
        )

    @classmethod
    def of(cls, configs: Mapping[str, str]) -> GroupSettings:
        """From `--config key=value`. Raises ValueError on what is no number."""
        return cls(
            initial_delay_s=_number(configs, "group.initial.rebalance.delay.ms", 3000) / 1000,
            min_session_s=_number(configs, "group.min.session.timeout.ms", 6000) / 1000,
            max_session_s=_number(configs, "group.max.session.timeout.ms", 1_800_000) / 1000,
            max_size=_number(configs, "group.max.size", 1000),
            max_metadata_bytes=_number(configs, "offset.metadata.max.bytes", 4096),
            consumer_session_s=_number(configs, "group.consumer.session.timeout.ms", 45_000) / 1000,
            consumer_heartbeat_s=_number(configs, "group.consumer.heartbeat.interval.ms", 5000) / 1000,
            retention_s=_number(configs, "offsets.retention.minutes", 10_080) * 60,
            retention_check_s=_number(configs, "offsets.retention.check.interval.ms", 600_000) / 1000,
            share=ShareSettings.of(configs),
        )


def _number(configs: Mapping[str, str], name: str, default: int) -> int:
    text = configs.get(name, str(default))
    if not text.isdecimal():
        raise ValueError(f"{name}={text} is no whole number: give milliseconds, bytes or a count, such as {default}")
    return int(text)
