"""What every kind of discovery gives, and what goes wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.collect.errors import CollectError
from agent.collect.scrape import Target
from agent.collect.shapes import BrokerNode

MOST_BYTES = 16 << 20
"""Of one answer or file."""


class CannotFind(CollectError):
    """A discovery that does not answer; the message names where it looked."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the cluster itself said last."""

    brokers: tuple[BrokerNode, ...] = ()
    http: Mapping[str, str] = field(default_factory=dict)
    """Broker id to the address of its own `/metrics`, where it tells one."""


class Finder(Protocol):
    """One place where targets are named."""

    name: str
    """As in `file targets.json`."""
    every_s: float
    """0: each round, which it must not hold up."""

    def find(self, told: Told) -> list[Target]:
        """All of its targets; CannotFind where they cannot be known, and those from before stay."""

    def close(self) -> None: ...


def url_of(scheme: str, host: str, port: int, path: str) -> str:
    """The URL of a target."""
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{scheme}://{shown}:{port}/{path.lstrip('/')}"
