"""Prometheus text, read fast: a known series is one dictionary look-up, an unknown one goes through the strict parser.

    name{label="value",...} value [timestamp_ms] [# exemplar]

The cache maps the bytes of `name{...}` to the store's number, so a body of known series costs a split, a look-up and a
float per line. Limits are checked before anything is kept; over a limit the whole body is refused, because half of a
target's truth looks like a drop in traffic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.collect.errors import BadExposition
from agent.store.samples import Labels

Register = Callable[[str, Labels], int]

NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(rb'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(,?)')
ESCAPES = {b"\\n": b"\n", b'\\"': b'"', b"\\\\": b"\\"}
CACHE_SLACK = 2
"""The cache is emptied when it holds this many times the series of one body."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    body_bytes: int = 64 << 20
    series: int = 200_000
    labels: int = 64
    """Per series."""
    label_bytes: int = 4096
    """Per label value."""


@dataclass(frozen=True, kw_only=True)
class Scraped:
    series: NDArray[np.int32]
    values: NDArray[np.float64]


class Exposition:
    """The reader of one target's bodies."""

    def __init__(self, register: Register, limits: Limits) -> None:
        self._register = register
        self._limits = limits
        self._known: dict[bytes, int] = {}

    def forget(self) -> None:
        """Empties the cache: the store's numbers have changed."""
        self._known.clear()

    def parse(self, body: bytes) -> Scraped:
        """All samples of a body; BadExposition names the line or the limit."""
        known, limit = self._known.get, self._limits.series
        series: list[int] = []
        values: list[float] = []
        for at, line in enumerate(body.split(b"\n"), start=1):
            if not line or line[0] == 35:  # '#'
                continue
            key, _, value = line.rpartition(b" ")
            number = known(key)
            try:
                if number is None:
                    if len(series) >= limit:
                        raise BadExposition(f"more than {limit} series: nothing of this scrape was kept")
                    found = self._strictly(line)
                    if found is None:
                        continue
                    number, value = found
                values.append(float(value))
            except (ValueError, BadExposition) as error:
                raise BadExposition(f"line {at}: {error}") from error
            series.append(number)
        if len(series) > limit:
            raise BadExposition(f"{len(series)} series, the limit is {limit}: nothing of this scrape was kept")
        if len(self._known) > CACHE_SLACK * len(series) + 1000:
            self._known.clear()
        return Scraped(series=np.array(series, dtype=np.int32), values=np.array(values, dtype=np.float64))

    def _strictly(self, line: bytes) -> tuple[int, bytes] | None:
        """The series number and the value of a line seen for the first time; None for a blank one."""
        line = line.strip(b" \t\r")
        if not line:
            return None
        named = NAME.match(line)
        if named is None:
            raise BadExposition(f"no metric name in {line[:60]!r}")
        labels, end = self._labels(line, named.end())
        rest = line[end:].split()
        if not rest:
            raise BadExposition(f"no value in {line[:60]!r}")
        number = self._known.get(line[:end])
        if number is None:
            number = self._known[line[:end]] = self._register(named[0].decode(), labels)
        return number, rest[0]

    def _labels(self, line: bytes, at: int) -> tuple[Labels, int]:
        if line[at : at + 1] != b"{":
            return (), at
        found: dict[str, str] = {}
        at += 1
        while True:
            matched = LABEL.match(line, at)
            if matched is None:
                break
            if len(matched[2]) > self._limits.label_bytes or len(found) >= self._limits.labels:
                raise BadExposition(f"a series over {self._limits.labels} labels of {self._limits.label_bytes} bytes")
            found[matched[1].decode()] = _plain(matched[2])
            at = matched.end()
            if not matched[3]:
                break
        closing = line[at:].lstrip()
        if not closing.startswith(b"}"):
            raise BadExposition(f"labels do not end in {line[:60]!r}")
        return tuple(sorted(found.items())), len(line) - len(closing) + 1


def _plain(value: bytes) -> str:
    if b"\\" in value:
        value = re.sub(rb'\\[n"\\]', lambda escape: ESCAPES[escape[0]], value)
    return value.decode("utf-8", errors="replace")
