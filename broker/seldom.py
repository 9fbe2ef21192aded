"""What strangers can make a broker say, said seldom: one line per address and reason in ten seconds, and how many were
left out. A client that reconnects in a loop, or a scanner, fills neither the disk nor the memory (law 12).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from broker.clock import Clock

EVERY_S = 10.0
MOST = 64
"""Addresses and reasons that are known at a time; what else comes is only counted."""
_NUMBER = re.compile(r"\d+")
"""Sizes and keys that a client chooses make no other reason."""


@dataclass(kw_only=True, slots=True)
class _Said:
    at: float
    left_out: int = 0


class Seldom:
    """`say` when there is something to say, `sweep` now and then."""

    def __init__(self, clock: Clock, tell: Callable[[str], None]) -> None:
        self._clock, self._tell = clock, tell
        self._said: dict[tuple[str, str], _Said] = {}
        self._others = 0

    def say(self, peer: str, reason: str, line: str) -> None:
        """Tells `line`, unless this reason was told of this peer a moment ago."""
        self.sweep()
        key = (peer, _NUMBER.sub("N", reason[:200]))
        found = self._said.get(key)
        if found is not None:
            found.left_out += 1
        elif len(self._said) >= MOST:
            self._others += 1
        else:
            self._said[key] = _Said(at=self._clock.monotonic())
            self._tell(line)

    def sweep(self) -> None:
        """Tells how many lines were left out of what is over."""
        oldest = self._clock.monotonic() - EVERY_S
        while self._said and (first := next(iter(self._said.items())))[1].at <= oldest:
            (peer, reason), said = first
            del self._said[peer, reason]
            if said.left_out:
                self._tell(f"{peer}: {reason}: {said.left_out} more of these in {EVERY_S:g} s")
        if self._others and len(self._said) < MOST:
            self._tell(f"{self._others} more of other addresses or reasons were left out")
            self._others = 0
