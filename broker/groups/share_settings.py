"""The limits of share groups (KIP-932), under Kafka's names and with Kafka's defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

LATEST, EARLIEST, BY_DURATION = "latest", "earliest", "by_duration:"
_DURATION = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,10})(?:\.\d{1,9})?S)?)?")
_SECONDS = (86_400, 3600, 60, 1)


@dataclass(frozen=True, kw_only=True)
class ShareSettings:
    session_ms: int = 45_000
    """`group.share.session.timeout.ms`: how long a member may be silent."""
    heartbeat_ms: int = 5000
    """`group.share.heartbeat.interval.ms`"""
    max_size: int = 200
    """`group.share.max.size`"""
    lock_ms: int = 30_000
    """`group.share.record.lock.duration.ms`: how long a record stays with the member it was given to."""
    deliveries: int = 5
    """`group.share.delivery.count.limit`: how often it is given at most."""
    records: int = 2000
    """`group.share.partition.max.record.locks`: records of one partition that were given and are not done, or wait
    behind one that is not.
    """
    sessions: int = 2000
    """`group.share.max.share.sessions`: share sessions of a broker."""
    reset: str = LATEST
    """`share.auto.offset.reset` of a group: where it begins."""
    isolation: str = "read_uncommitted"
    """`share.isolation.level` of a group."""

    def of_group(self, own: Mapping[str, str]) -> ShareSettings:
        """With what one group was given (resource_configs.py)."""
        changes: dict[str, str | int] = {
            name: own[key] if key in _TEXTS else int(own[key]) for key, name in _OF_GROUP.items() if own.get(key)
        }
        return replace(self, **changes) if changes else self  # type: ignore[arg-type]

    @classmethod
    def of(cls, configs: Mapping[str, str]) -> ShareSettings:
        """From `--config key=value`. Raises ValueError on what is no number."""
        defaults = {field.name: field.default for field in fields(cls)}
        given: dict[str, Any] = {}
        for key, name in _OF_BROKER.items():
            text = configs.get(key, str(defaults[name]))
            if not text.isdecimal():
                raise ValueError(f"{key}={text} is no whole number: give milliseconds or a count, as {defaults[name]}")
            given[name] = int(text)
        return cls(**given)


_OF_BROKER = {
    "group.share.session.timeout.ms": "session_ms",
    "group.share.heartbeat.interval.ms": "heartbeat_ms",
    "group.share.max.size": "max_size",
    "group.share.record.lock.duration.ms": "lock_ms",
    "group.share.delivery.count.limit": "deliveries",
    "group.share.partition.max.record.locks": "records",
    "group.share.max.share.sessions": "sessions",
}
_OF_GROUP = {
    "share.session.timeout.ms": "session_ms",
    "share.heartbeat.interval.ms": "heartbeat_ms",
    "share.record.lock.duration.ms": "lock_ms",
    "share.auto.offset.reset": "reset",
    "share.isolation.level": "isolation",
}
_TEXTS = frozenset(("share.auto.offset.reset", "share.isolation.level"))


def duration_ms(reset: str) -> int:
    """Of `by_duration:PnDTnHnMnS`. ValueError for anything else."""
    found = _DURATION.fullmatch(reset.removeprefix(BY_DURATION)) if reset.startswith(BY_DURATION) else None
    if found is None or not any(found.groups()):
        raise ValueError(f"{reset[:64]}: write latest, earliest, or by_duration: and a duration, such as PT1H30M")
    return 1000 * sum(int(part or 0) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True))
