"""What a metadata service says of this machine's future, in one shape for all clouds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

INTERRUPTION = "interruption"
"""The machine goes: the broker is emptied."""
REBALANCE = "rebalance"
"""It is likelier than usual to go, soon or not at all: told, and nothing is moved."""
_MOST_DETAIL = 120


class NoAnswer(Exception):
    """Nothing was learned: the service is away, slow or says something else than it should. Never a notice."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    kind: str
    """INTERRUPTION or REBALANCE."""
    source: str
    """Who said it: aws, gcp, azure, alibaba or url."""
    deadline_ms: int | None
    """By when the machine may be gone, Unix time; None where nobody says."""
    detail: str
    """The service's own word, in one short line."""


class Service(Protocol):
    """Somebody who knows whether this machine will be taken away."""

    @property
    def source(self) -> str: ...

    @property
    def address(self) -> str:
        """Where it is asked, for people."""

    @property
    def every_s(self) -> float:
        """The pause between two looks."""

    async def look(self) -> Sequence[Notice]:
        """What stands now, in bounded time; NoAnswer when that cannot be said."""


def instant_ms(text: str) -> int | None:
    """RFC 3339, or the date of an HTTP header; UTC where no zone is said. None for anything else."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text.strip())
            at = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return int(at.timestamp() * 1000)
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def parsed(text: str) -> object:
    """JSON; ValueError for anything else, and for what is nested deeper than a reader can follow."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def json_object(text: str) -> Mapping[str, object] | None:
    """None for anything else."""
    try:
        found = parsed(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def shown_instant(ms: int) -> str:
    """As people and logs have it: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(text: str) -> str:
    """Foreign text as one short printable line."""
    line = " ".join(text.split())
    return "".join(char for char in line if char.isprintable())[:_MOST_DETAIL]
