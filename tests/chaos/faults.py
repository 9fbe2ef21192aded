"""What will go wrong, and when: a pure function of a seed, so that a run can be replayed.

A profile says how much of what; times are spread over the round so that every fault has room to show its effect, and
faults of different kinds overlap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.proxy import Weather

LAST_S = 2.0
"""Before the end of a round nothing new begins."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`at_s` into the round, of `kind`, for `lasts_s` where that means something."""

    at_s: float
    kind: str
    """kill, zombie, quick zombie, drain, move, weather, full disk, clock"""
    broker: int = 0
    """Which of those that are up then, counted round."""
    lasts_s: float = 0.0
    weather: Weather = field(default_factory=Weather)
    count: int = 0
    """Partitions moved, or faults asked of a local store."""

    def __str__(self) -> str:
        return f"{self.at_s:5.1f} s  {self.kind} {self.broker}" + (f" for {self.lasts_s:.1f} s" if self.lasts_s else "")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How many of each in a minute."""

    kills: float = 3
    zombies: float = 2
    """Resumed only when the others have moved on."""
    quick_zombies: float = 2
    """Resumed the moment the others declare them dead."""
    drains: float = 1
    moves: float = 6
    weathers: float = 4
    full_disks: float = 1
    always: Weather = field(default_factory=Weather)
    """Between the storms."""


CALM = Profile(kills=0, zombies=0, quick_zombies=0, drains=0, moves=0, weathers=0, full_disks=0)


def schedule(seed: int, seconds: float, profile: Profile) -> Sequence[Fault]:
    """In order of time. The rounds of one run have seeds of their own."""
    rng = random.Random(seed)
    makers = (
        ("kill", profile.kills, lambda: rng.uniform(0.2, 6.0)),
        ("zombie", profile.zombies, lambda: rng.uniform(4.5, 8.0)),
        ("quick zombie", profile.quick_zombies, lambda: 8.0),
        ("drain", profile.drains, lambda: rng.uniform(0.2, 3.0)),
        ("move", profile.moves, lambda: 0.0),
        ("weather", profile.weathers, lambda: rng.uniform(3.0, 8.0)),
        ("full disk", profile.full_disks, lambda: rng.uniform(6.0, 10.0)),
    )
    faults = []
    for kind, per_minute, lasts in makers:
        whole = per_minute * seconds / 60
        number = int(whole) + (rng.random() < whole - int(whole))
        room = max(seconds - LAST_S, 0.1)
        for turn in range(number):
            # One in each part of the round, so that those of a kind do not come all at once.
            at_s = (turn + rng.random()) * room / number
            faults.append(_fault(rng, kind, at_s, lasts(), first=turn == 0))
    return sorted(faults, key=lambda fault: fault.at_s)


def _fault(rng: random.Random, kind: str, at_s: float, lasts_s: float, *, first: bool) -> Fault:
    """The first bad weather of a round is the one that every run must have had enough of."""
    broker, count = rng.randrange(3), rng.randint(1, 4)
    weather = Weather()
    if kind == "weather":
        weather = Weather(ambiguous=rng.uniform(0.3, 0.6)) if first else storm(rng)
    return Fault(at_s=at_s, kind=kind, broker=broker, lasts_s=lasts_s, weather=weather, count=count)


def storm(rng: random.Random) -> Weather:
    """One kind of bad weather, or all of it a little."""
    kinds = (
        Weather(ambiguous=rng.uniform(0.1, 0.5)),
        Weather(ambiguous=rng.uniform(0.1, 0.4), conflicted=0.2),
        Weather(refused=rng.uniform(0.2, 0.9)),
        Weather(truncated=rng.uniform(0.2, 0.6), stale_s=15.0),
        Weather(delayed=0.8, delay_s=rng.uniform(0.2, 2.0)),
        Weather(black_hole=True),
        Weather(refused=0.1, ambiguous=0.1, conflicted=0.1, truncated=0.1, stale_s=10.0, delayed=0.2),
    )
    return rng.choice(kinds)
