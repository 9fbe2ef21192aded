"""One line of Prometheus text or OpenMetrics, read strictly: what is seen for the first time, or looks odd.

    name{label="value",...} value [timestamp] [# {label="value",...} value [timestamp]]

Escapes are `\\n`, `\\"` and `\\\\`; any other backslash stands for itself, as in Prometheus. A timestamp and an
exemplar must be well formed and are then left alone: a sample's time is the round's start by the agent's own clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.collect.errors import BadExposition
from agent.store.samples import Labels

NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(rb'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(,?)')
ESCAPES = {b"\\n": b"\n", b'\\"': b'"', b"\\\\": b"\\"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one scrape may bring; over any of it the whole scrape is refused."""

    body_bytes: int = 64 << 20
    """After decompression."""
    line_bytes: int = 64 << 10
    series: int = 200_000
    labels: int = 64
    """Per series."""
    label_bytes: int = 4096
    """Per label value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    key: bytes
    """`name{...}` as it was written."""
    name: str
    labels: Labels
    """Sorted by name."""
    value: float


def read_line(line: bytes, limits: Limits) -> Line | None:
    """The sample of a line; None for a blank one or a comment; BadExposition says what is wrong."""
    line = line.strip(b" \t\r")
    if not line or line.startswith(b"#"):
        return None
    named = NAME.match(line)
    if named is None:
        raise BadExposition(f"no metric name in {line[:60]!r}")
    labels, end = _labels(line, named.end(), limits)
    sample, separator, exemplar = line[end:].partition(b" # ")
    if separator:
        _check_exemplar(exemplar, limits)
    rest = sample.split()
    if not rest:
        raise BadExposition(f"no value in {line[:60]!r}")
    if len(rest) > 2:
        raise BadExposition(f"{len(rest)} words after the series in {line[:60]!r}")
    if len(rest) == 2:
        number(rest[1])
    return Line(key=line[:end], name=named[0].decode(), labels=labels, value=number(rest[0]))


def number(text: bytes) -> float:
    """A float as Go reads it: no digits grouped by underscores, which Python would take."""
    if b"_" in text:
        raise BadExposition(f"{text[:60]!r} is no number")
    return float(text)


def _labels(line: bytes, at: int, limits: Limits) -> tuple[Labels, int]:
    if line[at : at + 1] != b"{":
        return (), at
    found: dict[str, str] = {}
    at += 1
    while True:
        matched = LABEL.match(line, at)
        if matched is None:
            break
        if len(matched[2]) > limits.label_bytes or len(found) >= limits.labels:
            raise BadExposition(f"a series over {limits.labels} labels of {limits.label_bytes} bytes")
        name = matched[1].decode()
        if name in found:
            raise BadExposition(f"label {name} twice in {line[:60]!r}")
        found[name] = _plain(matched[2])
        at = matched.end()
        if not matched[3]:
            break
    closing = line[at:].lstrip()
    if not closing.startswith(b"}"):
        raise BadExposition(f"labels do not end in {line[:60]!r}")
    return tuple(sorted(found.items())), len(line) - len(closing) + 1


def _check_exemplar(exemplar: bytes, limits: Limits) -> None:
    if not exemplar.startswith(b"{"):
        raise BadExposition(f"an exemplar without labels: {exemplar[:60]!r}")
    _, end = _labels(exemplar, 0, limits)
    words = exemplar[end:].split()
    if len(words) not in (1, 2):
        raise BadExposition(f"an exemplar without a value: {exemplar[:60]!r}")
    for word in words:
        number(word)


def _plain(value: bytes) -> str:
    if b"\\" in value:
        value = re.sub(rb'\\[n"\\]', lambda escape: ESCAPES[escape[0]], value)
    return value.decode("utf-8", errors="replace")
