"""What a question is answered from, and the answer: both plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.model.finding import Risk, Silence
from agent.model.plan import Plan, Refusal
from agent.model.resource import parts

_NAMES = {"broker": "broker", "topic": "topic", "group_id": "group", "client_id": "client"}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One instant of one cluster."""

    cluster: str
    at: datetime
    risks: tuple[Risk, ...] = ()
    """Those that are open."""
    silences: tuple[Silence, ...] = ()
    plans: tuple[Plan, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    views: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Rows of canonical views, those that are known: broker, broker_load, partition_load, group_state, group_lag,
    client_load, cost, request_stats, object_store_ops, wal_state."""

    def rows(self, view: str, **equal: str) -> list[Mapping[str, Any]]:
        """Rows of a view whose columns equal, as text, what is asked for."""
        return [row for row in self.views.get(view, ()) if all(str(row.get(k)) == v for k, v in equal.items())]

    def names(self) -> Iterator[tuple[str, str]]:
        """Every (kind, name) of a broker, topic, group or client in the snapshot, sorted."""
        found = {
            (kind, str(row[column]))
            for rows in self.views.values()
            for row in rows
            for column, kind in _NAMES.items()
            if row.get(column) is not None
        }
        for risk in self.risks:
            segments = parts(risk.resource)
            if len(segments) >= 3 and segments[1] in _NAMES.values():
                found.add((segments[1], segments[2]))
        yield from sorted(found)


@dataclass(frozen=True, kw_only=True)
class Answer:
    text: str
    citations: tuple[str, ...]
    """What `[n]` in the text stands for, from 1."""
    checked: bool
    """Whether every number and name in the text was found in the evidence."""
    source: str
    """rules, or the model's name."""
    notes: tuple[str, ...] = ()
    """What was left out or could not be done, in words."""
