"""What a route is: a method, a path with parameters, what it takes, and the coroutine that answers. The dispatcher and
the OpenAPI document are both made from the same table, so that neither can be out of step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from broker.admin.errors import AdminError
from broker.admin.progress import Drain
from broker.clock import Clock
from broker.log import Logs
from broker.metadata import Metadata


@dataclass(frozen=True, kw_only=True)
class Field:
    """One value of a body or a query."""

    kind: str
    """integer, number, boolean or string: JSON's names."""
    about: str
    required: bool = False
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request whose values were checked against its route."""

    ids: Mapping[str, int]
    """The path's parameters."""
    values: Mapping[str, Any]
    """Of the query or the body; absent is absent."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """The parts of the broker that the routes work with."""

    id: int
    metadata: Metadata
    logs: Logs
    clock: Clock
    drains: dict[int, Drain] = field(default_factory=dict)
    watching: set[asyncio.Task[None]] = field(default_factory=set)
    """Who waits for those drains to end."""


Answer = tuple[HTTPStatus, Any]
Handler = Callable[[Broker, Asked], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class Route:
    method: str
    path: str
    """`{name}` stands for a whole number."""
    summary: str
    answer: Handler
    status: HTTPStatus = HTTPStatus.OK
    """Of an answer that is as it should be."""
    query: Mapping[str, Field] = field(default_factory=dict)
    body: Mapping[str, Field] = field(default_factory=dict)

    def match(self, path: str) -> dict[str, int] | None:
        """The path's parameters; None when this is another path."""
        ours, theirs = self.path.split("/"), path.split("/")
        if len(ours) != len(theirs):
            return None
        found = {}
        for own, given in zip(ours, theirs, strict=True):
            if own.startswith("{"):
                if not given.isascii() or not given.isdecimal() or len(given) > 9:
                    return None
                found[own[1:-1]] = int(given)
            elif own != given:
                return None
        return found


_KINDS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
}


def checked(fields: Mapping[str, Field], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values, when each is known and of its kind. AdminError names the first that is not."""
    if strangers := sorted(set(given) - set(fields)):
        known = ", ".join(sorted(fields)) or "nothing"
        raise AdminError(f"{where}: {strangers[0]!r} is not known", next=f"give {known}")
    for name, one in fields.items():
        if name not in given:
            if one.required:
                raise AdminError(f"{where}: {name} is missing", next=f"give {name}: {one.about}")
            continue
        value = given[name]
        is_kind = isinstance(value, _KINDS[one.kind]) and (one.kind == "boolean" or not isinstance(value, bool))
        if not is_kind:
            raise AdminError(f"{where}: {name} is no {one.kind}", next=f"give {name}: {one.about}")
        if (one.least is not None and value < one.least) or (one.most is not None and value > one.most):
            raise AdminError(f"{where}: {name} is {value}", next=f"give {one.least:g} to {one.most:g}")
    return dict(given)


def from_query(fields: Mapping[str, Field], given: Mapping[str, str]) -> dict[str, Any]:
    """Text from a query as values; what cannot be one stays text, and is refused by `checked`."""
    return {name: _value(fields[name].kind, text) if name in fields else text for name, text in given.items()}


def _value(kind: str, text: str) -> Any:
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    try:
        return int(text) if kind == "integer" else float(text) if kind == "number" else text
    except ValueError:
        return text
