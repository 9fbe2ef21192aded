"""What a page's front matter may say: every key, what it must look like, and how a mistake is answered."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from rules.strict_yaml import Reader
from rules.views import VIEWS

LEVELS = ("P0", "P1", "P2")
SCOPES = ("broker", "topic", "partition", "group", "client", "principal", "store", "component", "cluster")
KINDS = ("bundled", "automq", "kafka")
RELATIONS = ("same", "leader_of", "coordinator_of", "member_of", "store_of", "any")
ACTIONS = (
    *("MovePartitions", "ElectLeaders", "AlterTopic", "AlterBroker", "AddPartitions", "SetQuota", "ResetOffsets"),
    *("DelTopic", "DelGroup", "DelRecords", "AbortTransaction", "Acl", "Scram", "Features", "ScaleOut", "ScaleIn"),
    *("Drain", "Cordon", "Restart", "Client", "Ask"),
)
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"([1-9][0-9]*)([smhd])\Z")
_PERSIST = re.compile(r"([1-9][0-9]*) of ([1-9][0-9]*)\Z")
_RULE_ID = re.compile(r"[A-Z][A-Z0-9]*-[0-9]{2,4}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

Node = yaml.Node
Pairs = Mapping[str, tuple[Node, Node]]


def nearest(wrong: str, known: Collection[str]) -> str:
    """ "did you mean `x`?", or the list of what there is."""
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}"


@dataclass(frozen=True, kw_only=True)
class Key:
    name: str
    read: Callable[[Reader, Node, str], Any]
    field: str
    """The name in RulePage."""
    default: Any = ...
    """What an absent key means; `...` where it must be there."""


def duration_s(text: str) -> float | None:
    """`10s`, `1m`, `2h`, `7d` in seconds; None for anything else."""
    match = _DURATION.match(text)
    return int(match[1]) * _UNITS_S[match[2]] if match else None


def front_matter(pairs: Pairs, reader: Reader) -> dict[str, Any]:
    """The fields of RulePage that the front matter gives."""
    keys = {key.name: key for key in KEYS}
    for name, (node, _) in pairs.items():
        if name not in keys:
            raise reader.refuse(node, f"unknown key `{name}`; {nearest(name, keys)}")
    found = {}
    for key in KEYS:
        if key.name in pairs:
            found[key.field] = key.read(reader, pairs[key.name][1], f"`{key.name}`")
        elif key.default is ...:
            first = next(iter(pairs.values()))[0]
            raise reader.refuse(first, f"`{key.name}` is missing from the front matter; contracts name every key")
        else:
            found[key.field] = key.default
    return found


def _text(reader: Reader, node: Node, what: str) -> str:
    value = reader.text(node, what).strip()
    if not value:
        raise reader.refuse(node, f"{what} is empty")
    return value


def _rule_id(reader: Reader, node: Node, what: str) -> str:
    value = reader.text(node, what)
    if not _RULE_ID.match(value):
        raise reader.refuse(node, f"{what} is `{value}`; an id is a family and a number, like BAL-01")
    return value


def _one_of(choices: tuple[str, ...]) -> Callable[[Reader, Node, str], str]:
    def read(reader: Reader, node: Node, what: str) -> str:
        value = reader.text(node, what)
        if value not in choices:
            raise reader.refuse(node, f"{what} is `{value}`; {nearest(value, choices)}")
        return value

    return read


def _action(reader: Reader, node: Node, what: str) -> str:
    value = reader.text(node, what)
    return value if re.match(r"Cloud\.[A-Z]\w+\Z", value) else _one_of(ACTIONS)(reader, node, what)


def _some_of(choices: Collection[str]) -> Callable[[Reader, Node, str], tuple[str, ...]]:
    def read(reader: Reader, node: Node, what: str) -> tuple[str, ...]:
        one = _one_of(tuple(choices))
        values = tuple(one(reader, item, f"an item of {what}") for item in reader.items(node, what))
        if not values or len(set(values)) < len(values):
            raise reader.refuse(node, f"{what} must name at least one, and none twice")
        return values

    return read


def _duration(reader: Reader, node: Node, what: str) -> float:
    seconds = duration_s(reader.text(node, what))
    if seconds is None:
        raise reader.refuse(node, f"{what} is `{node.value}`; write a duration like 10s, 1m, 2h or 7d")
    return seconds


def _persist(reader: Reader, node: Node, what: str) -> dict[str, int]:
    match = _PERSIST.match(reader.text(node, what))
    if not match or int(match[1]) > int(match[2]):
        raise reader.refuse(node, f"{what} is `{node.value}`; write `k of n` with k up to n, like 3 of 4")
    return {"hits": int(match[1]), "of": int(match[2])}


def _thresholds(reader: Reader, node: Node, what: str) -> dict[str, dict[str, Any]]:
    return {name: _threshold(reader, key, value, name) for name, (key, value) in reader.pairs(node, what).items()}


def _threshold(reader: Reader, key: Node, node: Node, name: str) -> dict[str, Any]:
    if not _NAME.match(name):
        raise reader.refuse(key, f"threshold `{name}`: use small letters, digits and underscores")
    pairs = reader.pairs(node, f"threshold `{name}`")
    for wrong in pairs.keys() - {"value", "why"}:
        raise reader.refuse(pairs[wrong][0], f"threshold `{name}` has an unknown key `{wrong}`; quote the whole `why`")
    for wanted in ("value", "why"):
        if wanted not in pairs:
            raise reader.refuse(node, f"threshold `{name}` needs `{wanted}`")
    value = reader.scalar(pairs["value"][1], f"the value of threshold `{name}`")
    if value is None or isinstance(value, bool):
        raise reader.refuse(pairs["value"][1], f"the value of threshold `{name}` must be a number, a duration or text")
    seconds = duration_s(value) if isinstance(value, str) else None
    return {
        "value": seconds if seconds is not None else value if isinstance(value, str) else float(value),
        "why": reader.quoted(pairs["why"][1], f"the `why` of threshold `{name}`"),
    }


def _explained_by(reader: Reader, node: Node, what: str) -> dict[str, str]:
    relation = _one_of(RELATIONS)
    found = {}
    for rule, (key, value) in reader.pairs(node, what).items():
        found[_rule_id(reader, key, f"a rule of {what}")] = relation(reader, value, f"the relation to {rule}")
    return found


KEYS = (
    Key(name="id", field="id", read=_rule_id),
    Key(name="title", field="title", read=_text),
    Key(name="level", field="level", read=_one_of(LEVELS)),
    Key(name="scope", field="scope", read=_one_of(SCOPES)),
    Key(name="kinds", field="kinds", read=_some_of(KINDS), default=KINDS),
    Key(name="needs", field="needs", read=_some_of(tuple(VIEWS))),
    Key(name="unit", field="unit", read=_text, default=""),
    Key(name="every", field="every_s", read=_duration),
    Key(name="window", field="window_s", read=_duration),
    Key(name="min_age", field="min_age_s", read=_duration),
    Key(name="persist", field="persist", read=_persist),
    Key(name="thresholds", field="thresholds", read=_thresholds),
    Key(name="explained_by", field="explained_by", read=_explained_by, default={}),
    Key(name="action", field="action", read=_action),
)
"""Every key of the front matter, in the order of a page."""
