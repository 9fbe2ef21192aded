"""Who has fallen silent, by this observer's own monotonic clock (law 11).

A heartbeat is a counter: only its changing means anything. An observer that could not look for a while (it was stopped,
or the store was away) has learned nothing about others in that time, so all its windows start again. Silence is judged
slowly; at most one broker, or 30 %, per session, since many silent at once more likely means that the observer is the
one with the problem. One that is excused, because its process is seen to run, takes nobody's place in that share. One
that is absent, because nobody listens at its address, is silent sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from broker.metadata.rows import Beat

STALL_S = 1.0
SHARE = 0.3


@dataclass(kw_only=True)
class _Seen:
    epoch: int
    counter: int
    at: float


class Liveness:
    def __init__(self, session_s: float, absent_session_s: float | None = None) -> None:
        """`absent_session_s` is how long an absent broker's counter must stand still; None: as long as any other's."""
        self._session_s = session_s
        self._absent_session_s = session_s if absent_session_s is None else min(absent_session_s, session_s)
        self._seen: dict[int, _Seen] = {}
        self._looked_at: float | None = None
        self._judged: list[float] = []

    def observe(self, beats: Iterable[Beat], now: float) -> None:
        """What a look at the store showed."""
        stalled = self._looked_at is not None and now - self._looked_at > STALL_S
        self._looked_at = now
        for beat in beats:
            seen = self._seen.get(beat.id)
            if stalled or seen is None or (seen.epoch, seen.counter) != (beat.epoch, beat.counter):
                self._seen[beat.id] = _Seen(epoch=beat.epoch, counter=beat.counter, at=now)

    def restart(self) -> None:
        """All windows begin again: this observer could not reach the store, so it knows nothing of others."""
        self._seen.clear()

    def doubtful(self, alive: Iterable[int], now: float) -> list[int]:
        """Brokers that would be silent now if they were absent."""
        return [i for i in alive if i in self._seen and now - self._seen[i].at > self._absent_session_s]

    def silent(
        self,
        alive: Iterable[int],
        now: float,
        excused: Callable[[int], bool] = lambda _: False,
        absent: Collection[int] = (),
    ) -> list[int]:
        """Brokers whose counter stood still for their session and that nothing excuses, as many as may be judged."""
        ids = [i for i in alive if i in self._seen]
        sessions_s = {i: self._absent_session_s if i in absent else self._session_s for i in ids}
        silent = [i for i in ids if now - self._seen[i].at > sessions_s[i] and not excused(i)]
        self._judged = [at for at in self._judged if now - at < self._session_s]
        room = max(1, int(len(ids) * SHARE)) - len(self._judged)
        return silent[: max(room, 0)]

    def silence_s(self, broker: int, now: float) -> float:
        """How long its counter has stood still."""
        return now - self._seen[broker].at if broker in self._seen else 0.0

    def counter(self, broker: int) -> int:
        """Where the counter of a broker that is watched stands."""
        return self._seen[broker].counter

    def is_beating(self, broker: int, now: float) -> bool:
        """Whether its counter moved within half a session; true of one that was not watched yet."""
        return self.silence_s(broker, now) < self._session_s / 2

    def judged(self, broker: int, now: float) -> None:
        """A silent broker was declared dead: it counts against this session's share."""
        self._judged.append(now)
        self._seen.pop(broker, None)
