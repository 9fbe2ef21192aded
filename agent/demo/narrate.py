"""The demo's voice: what happens now, what is awaited, small pictures; all on stderr, each line with its second."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TextIO

from agent.model.clock import Clock

BAR_CELLS = 32


class Narrator:
    """Lines for a person who watches."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        self._out = out
        self._clock = clock
        self._start = clock.monotonic()

    @property
    def elapsed_s(self) -> float:
        return self._clock.monotonic() - self._start

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        self._write(f"[{self.elapsed_s:5.1f}s] {text}\n")

    def phase(self, title: str) -> None:
        """Opens a part of the story."""
        self._write(f"\n[{self.elapsed_s:5.1f}s] == {title}\n")

    def block(self, lines: list[str]) -> None:
        """A picture or a list, indented under the line before."""
        self._write("".join(f"          {line}\n" for line in lines))

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._out.write(text)
            self._out.flush()


def load_picture(load: Mapping[str, float], zone_of: Callable[[str], str] = lambda broker: "") -> list[str]:
    """One bar per broker, and the mark that the busiest one should stay under (1.25 of the mean)."""
    mean = sum(load.values()) / len(load) if load else 0.0
    top = max([*load.values(), 1.25 * mean, 1.0])
    limit = round(BAR_CELLS * 1.25 * mean / top)
    lines = []
    for broker, value in sorted(load.items()):
        bar = "#" * round(BAR_CELLS * value / top)
        cells = bar.ljust(max(BAR_CELLS, limit + 1))
        marked = cells[:limit] + ("|" if cells[limit : limit + 1] != "#" else "!") + cells[limit + 1 :]
        share = value / mean if mean else 0.0
        lines.append(f"broker {broker} {zone_of(broker):<8} {marked} {value / 1e6:5.2f} MB/s, {share:4.2f} of the mean")
    return lines


def usd(amount: float | None) -> str:
    """`$12.30 a month`, or that it is not known."""
    if amount is None:
        return "no price"
    return f"${amount:,.2f} a month"


def first_sentence(text: str, longest: int = 160) -> str:
    """The beginning of an explanation, for one line."""
    line = " ".join(text.split())
    head = line.split(". ")[0].rstrip(".")
    return head if len(head) <= longest else head[: longest - 3] + "..."
