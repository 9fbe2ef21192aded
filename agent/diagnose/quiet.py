"""Mutes and maintenances: what somebody has said need not be told, until when, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

AFTERMATH = timedelta(minutes=10)
"""A maintenance keeps the peace for that long after its end: caches fill and clients come back."""


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """One mute, or one maintenance."""

    resource: str
    """An id, a pattern, or the start of ids (`prod/topic/orders` covers its partitions); empty for all."""
    rule: str
    """An id or a pattern such as `BAL-*`; empty for all."""
    begins: datetime | None
    ends: datetime | None
    is_maintenance: bool

    def covers(self, rule: str, resource: str, at: datetime) -> bool:
        if (self.begins and at < self.begins) or (self.ends and at >= self.ends):
            return False
        inside = resource == self.resource or resource.startswith(f"{self.resource}/")
        return (not self.resource or inside or fnmatchcase(resource, self.resource)) and (
            not self.rule or fnmatchcase(rule, self.rule)
        )


def read(documents: Iterable[Mapping[str, Any]], *, is_maintenance: bool, time_scale: float = 1.0) -> list[Quiet]:
    """Documents with resource, rule, from and until; one whose times cannot be read hides nothing."""
    found = []
    for document in documents:
        try:
            begins, ends = _time(document.get("from")), _time(document.get("until"))
        except ValueError:
            continue
        if ends and is_maintenance:
            ends += AFTERMATH / time_scale
        found.append(
            Quiet(
                resource=str(document.get("resource") or "").rstrip("/"),
                rule=str(document.get("rule") or ""),
                begins=begins,
                ends=ends,
                is_maintenance=is_maintenance,
            )
        )
    return found


def _time(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return time if time.tzinfo else time.replace(tzinfo=UTC)
