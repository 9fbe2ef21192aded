"""Prometheus' text format, written by hand: at 10,000 partitions a client library costs more than the scrape may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from broker.telemetry.catalogue import FAMILIES

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Sequence[tuple[str, str]]


def escape(value: str) -> str:
    """A label's value, safe between quotes. Topic names and client ids are data from outside."""
    return value.translate(_ESCAPES)


class Page:
    """One answer to `GET /metrics`, built line by line. KeyError for a metric that the catalogue does not have."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str) -> None:
        """Begins a metric: its help and its type."""
        family = FAMILIES[name]
        self._lines.append(f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}")

    def sample(self, name: str, labels: Labels, value: float) -> None:
        """One series."""
        inside = ",".join(f'{key}="{escape(text)}"' for key, text in labels)
        self._lines.append(f"{name}{{{inside}}} {value:.15g}" if inside else f"{name} {value:.15g}")

    def one(self, name: str, value: float | None) -> None:
        """A metric without labels; nothing at all where the value is unknown."""
        if value is not None:
            self.family(name)
            self.sample(name, (), value)

    def table(self, name: str, values: Mapping[Any, float]) -> None:
        """A metric with one series per key of `values`: a tuple of its labels' values, in the catalogue's order."""
        if not values:
            return
        self.family(name)
        keys = FAMILIES[name].labels
        for parts, value in values.items():
            self.sample(name, tuple(zip(keys, parts, strict=True)), value)

    def lines(self, lines: Iterable[str]) -> None:
        """Series that the caller has already written: the per-partition paths."""
        self._lines.extend(lines)

    def text(self) -> str:
        """The whole page."""
        return "\n".join(self._lines) + "\n"
