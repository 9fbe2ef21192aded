"""Names to meanings: each source's metric names, mapped to the measures that the canonical views are made of.

One data file per source (`sources/*.toml`), so a new exporter is a file and no code. A series resolves once, when it is
first seen; the views then work on measures and dimensions and know no metric name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "sources"
FILES = ("admin", "bundled", "kafka_jmx", "automq", "otlp")
"""In order: a metric that two files name belongs to the first."""

DIMENSIONS = (
    "topic",
    "part",
    "group_id",
    "client_id",
    "direction",
    "zone",
    "software",
    "codec",
    "api",
    "error",
    "operation",
    "status",
    "le",
    "version",
    "spot",
    "broker_id",
    "metric",
)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a metric name stands for, under conditions on its labels."""

    name: str
    measure: str
    counter: bool
    scale: float
    labels: Mapping[str, str]
    """Dimension to label."""
    where: Mapping[str, str]
    without: frozenset[str]
    unless: Mapping[str, frozenset[str]]
    """Label to the values that rule a series out."""

    def fits(self, labels: Mapping[str, str]) -> bool:
        return (
            all(labels.get(name) == value for name, value in self.where.items())
            and not self.without & labels.keys()
            and not any(labels.get(name) in values for name, values in self.unless.items())
        )


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """One series as the views see it."""

    measure: str
    counter: bool
    scale: float
    dimensions: tuple[tuple[str, str], ...]
    """Dimension and value, for those it has."""


def resolve(name: str, labels: Mapping[str, str]) -> Resolved | None:
    """The meaning of a series; None where no source file names it."""
    for meaning in _meanings().get(name, ()):
        if meaning.fits(labels):
            return Resolved(
                measure=meaning.measure,
                counter=meaning.counter,
                scale=meaning.scale,
                dimensions=tuple(
                    (dimension, labels[label]) for dimension, label in meaning.labels.items() if label in labels
                ),
            )
    return _prefixed(name, labels)


def _prefixed(name: str, labels: Mapping[str, str]) -> Resolved | None:
    for prefix in _prefixes():
        if name.startswith(prefix.name) and set(prefix.labels.values()) <= labels.keys():
            rest = name.removeprefix(prefix.name)
            metric = prefix.becomes + prefix.groups.get(rest, "") + rest.replace("_", ".")
            dimensions = tuple((dimension, labels[label]) for dimension, label in prefix.labels.items())
            found = (*dimensions, ("metric", metric))
            return Resolved(measure=prefix.measure, counter=False, scale=1.0, dimensions=found)
    return None


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """What all names that begin alike stand for: the rest of the name is the dimension `metric`."""

    name: str
    measure: str
    becomes: str
    labels: Mapping[str, str]
    """Dimension to label, all of which a series must have."""
    groups: Mapping[str, str]
    """The rest of a name to what goes before it."""


@cache
def _prefixes() -> tuple[Prefix, ...]:
    entries = [entry for file in FILES for entry in _file(file).get("prefix", [])]
    return tuple(
        Prefix(
            name=entry["name"],
            measure=entry["measure"],
            becomes=entry["becomes"],
            labels=entry["labels"],
            groups={rest: group for group, rests in entry.get("groups", {}).items() for rest in rests},
        )
        for entry in entries
    )


def _file(name: str) -> dict[str, Any]:
    return tomllib.loads((SOURCES / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def _meanings() -> Mapping[str, tuple[Meaning, ...]]:
    found: dict[str, tuple[Meaning, ...]] = {}
    for file in FILES:
        for entry in _file(file)["metric"]:
            meaning = _meaning(file, entry)
            found[meaning.name] = (*found.get(meaning.name, ()), meaning)
    return found


def _meaning(file: str, entry: Mapping[str, Any]) -> Meaning:
    labels = entry.get("labels", {})
    if unknown := labels.keys() - set(DIMENSIONS):
        raise ValueError(f"sources/{file}.toml: {entry['name']} has unknown dimensions {sorted(unknown)}")
    return Meaning(
        name=entry["name"],
        measure=entry["measure"],
        counter=entry.get("counter", False),
        scale=entry.get("scale", 1.0),
        labels=labels,
        where=entry.get("where", {}),
        without=frozenset(entry.get("without", ())),
        unless={name: frozenset(values) for name, values in entry.get("unless", {}).items()},
    )
