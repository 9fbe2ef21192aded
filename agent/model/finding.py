"""What is wrong: a finding is one firing of a rule on one resource; a risk is what is remembered of them over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Level = Literal["P0", "P1", "P2"]
RiskState = Literal["open", "acknowledged", "muted", "suppressed", "resolved"]
_WHOLE = {"json_schema_serialization_defaults_required": True}
"""What is written has every field, those with a default too, and /openapi.json says so."""
Cell = str | int | float | bool | None | list[str] | list[int]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Rows of a canonical view that a finding rests on."""

    view: str
    query_hash: str
    """SHA-256 of the rule's SQL and its bound thresholds, so that the same question can be asked again."""
    as_of: datetime
    rows: tuple[dict[str, Cell], ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    id: str
    rule: str
    resource: str
    at: datetime
    observed: float | None
    limit: float | None
    unit: str
    score: float
    """Observed over limit, as the page defines it; 1.0 is the threshold."""
    confidence: float
    """0 to 1; lower where a view was estimated or incomplete."""
    usd_per_month: float | None
    money_basis: str
    """Where the money comes from: price book and date, or why there is none."""
    params: dict[str, Cell]
    """The page's `action_*` columns, without the prefix."""
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True)
class Risk:
    __pydantic_config__ = _WHOLE

    id: str
    """Stable for (rule, resource) from first seen until resolved."""
    rule: str
    title: str
    resource: str
    level: Level
    state: RiskState
    first_seen: datetime
    last_seen: datetime
    count: int
    """Evaluations at which it fired."""
    caused_by: str | None
    """The id of the risk this one is a consequence of."""
    action: str
    """The page's typed action: MovePartitions, Client, Ask, ..."""
    snapshot: Finding
    """As it was at the moment of detection."""
    latest: Finding
    explanation: str
    cluster: str = ""
    """The name; empty in what a release with one cluster kept, where the resource says it."""


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Why a rule says nothing: "needs 3 more minutes of data", or the nearest miss."""

    __pydantic_config__ = _WHOLE

    rule: str
    reason: str
    nearest: str | None
    """The resource that came nearest."""
    score: float | None
    over: bool = False
    """That resource is over the limit, and the rule waits to be sure: for more looks, or for a suspected cause."""
    cluster: str = ""
