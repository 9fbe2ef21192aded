"""What one share group does with one partition, pure: which records are out, with whom, for how long, and how often.

    available     may be given to any member; was given before, and came back
    acquired      with a member, until it says what became of it, or its time is up
    acknowledged  done
    archived      never given again: refused, given too often, or not a record

1. Below `start` everything is done. From `end` on nothing was given yet. Between them each record that was given has a
   flight; an offset without one is no record (a marker, what a transaction aborted, what cleaning took).
2. A record is with one member at a time. It comes back when the member lets go of it, when its lock lapses, or when the
   member goes; given as often as the limit allows, it does not come back.
3. A word about a record counts only from the member that it is with. Of a request, a partition's words hold all or not
   at all.
4. Locks are not stored: after a failover what was out is available, with the deliveries counted that had been stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from broker.errors import InvalidRecordState, InvalidRequest


class State(IntEnum):
    """By Kafka's numbers, as stored."""

    AVAILABLE = 0
    ACQUIRED = 1
    ACKNOWLEDGED = 2
    ARCHIVED = 4


class Word(IntEnum):
    """What a member says of a record, by its number on the wire."""

    GAP = 0
    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    RENEW = 4


_WORDS = frozenset(Word)
_OVER = frozenset((State.ACKNOWLEDGED, State.ARCHIVED))


@dataclass(kw_only=True, slots=True)
class Flight:
    """One record that was given."""

    state: State
    count: int
    """How often."""
    member: str = ""
    deadline: float = 0.0
    """Monotonic seconds: until when it is with the member."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acquired:
    """Records in a row that were given just now, each for the same time."""

    first: int
    last: int
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A member's words on records in a row: one for all, or one for each."""

    first: int
    last: int
    words: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On which records are given."""

    lock_s: float
    deliveries: int
    """How often a record is given at most."""
    records: int
    """Flights at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """What was read from `offset` on: first and last offset of each batch to be given, and where the reading ended."""

    offset: int
    spans: Sequence[tuple[int, int]]
    end: int


class Window:
    """Mutable, in the memory of the partition's leader."""

    def __init__(self, start: int, flights: dict[int, Flight] | None = None) -> None:
        self.start = start
        self.flights = flights or {}
        """By offset, in order."""
        self.end = next(reversed(self.flights)) + 1 if self.flights else start
        self.available = sum(flight.state is State.AVAILABLE for flight in self.flights.values())
        self.due = float("inf")
        """No lock lapses before this; it may be earlier than the first one's end."""

    # -- stored ------------------------------------------------------------------------------------------------------

    def dump(self) -> str:
        """JSON: [[first, last, state, count], ...] of the flights; what is acquired, as available (law 4)."""
        runs: list[list[int]] = []
        for offset, flight in self.flights.items():
            state = State.AVAILABLE if flight.state is State.ACQUIRED else flight.state
            if runs and runs[-1][1:] == [offset - 1, state, flight.count]:
                runs[-1][1] = offset
            else:
                runs.append([offset, offset, int(state), flight.count])
        return json.dumps(runs, separators=(",", ":"))

    @classmethod
    def load(cls, start: int, states: str) -> Window:
        """As stored."""
        flights = {
            offset: Flight(state=State(state), count=count)
            for first, last, state, count in json.loads(states)
            for offset in range(first, last + 1)
        }
        return cls(start, flights)

    # -- giving ------------------------------------------------------------------------------------------------------

    def next_offset(self) -> int:
        """Where to read for what can be given next."""
        if not self.available:
            return self.end
        return next(offset for offset, flight in self.flights.items() if flight.state is State.AVAILABLE)

    def has_room(self, most: int) -> bool:
        """Whether anything could be given, were it there."""
        return self.available > 0 or len(self.flights) < most

    def acquire(self, member: str, read: Read, wanted: int, terms: Terms, now: float, *, exact: bool) -> list[Acquired]:
        """Gives the member about `wanted` records of what was read: a batch that was begun is given whole, unless it
        shall be `exact`. What was read and is no record is passed over.
        """
        given: list[list[int]] = []
        at, deadline, taken = read.offset, now + terms.lock_s, 0
        for first, last in read.spans:
            if taken >= wanted:
                break
            self._pass_over(at, first)
            for offset in range(max(first, at), last + 1):
                if exact and taken >= wanted:
                    return self._given(given, offset)
                flight = self._give(offset, terms.records)
                if flight is None:
                    if offset >= self.end:
                        return self._given(given, offset)
                    continue
                flight.member, flight.deadline = member, deadline
                taken += 1
                _append(given, offset, flight.count)
            at = max(at, last + 1)
        else:
            self._pass_over(at, read.end)
            at = max(at, read.end)
        return self._given(given, at)

    def _give(self, offset: int, most: int) -> Flight | None:
        """The flight that begins now; None where the record is out or done, or there is no room for another one."""
        if offset < self.end:
            flight = self.flights.get(offset)
            if flight is None or flight.state is not State.AVAILABLE:
                return None
            self.available -= 1
            flight.state, flight.count = State.ACQUIRED, flight.count + 1
            return flight
        if len(self.flights) >= most:
            return None
        flight = self.flights[offset] = Flight(state=State.ACQUIRED, count=1)
        self.end = offset + 1
        return flight

    def _given(self, given: list[list[int]], until: int) -> list[Acquired]:
        self.end = max(self.end, until)
        for first, _, _ in given[:1]:
            self.due = min(self.due, self.flights[first].deadline)
        self.trim(self.start)
        return [Acquired(first=first, last=last, count=count) for first, last, count in given]

    def _pass_over(self, first: int, end: int) -> None:
        """No record is there any more: what was available is not."""
        if not self.available or first >= end:
            return
        for offset, flight in self.flights.items():
            if first <= offset < end and flight.state is State.AVAILABLE:
                flight.state = State.ARCHIVED
                self.available -= 1

    # -- what became of it -------------------------------------------------------------------------------------------

    def acknowledge(self, member: str, said: Sequence[Said], terms: Terms, now: float) -> bool:
        """Takes a member's words; whether that has to be stored. InvalidRequest, and InvalidRecordState where the
        record is not with the member: then nothing of it holds (law 3).
        """
        spoken = list(self._spoken(member, said))
        stored = False
        for flight, word in spoken:
            if word is Word.RENEW:
                flight.deadline = now + terms.lock_s
            elif word is Word.RELEASE:
                self._come_back(flight, terms.deliveries)
            else:
                flight.state = State.ACKNOWLEDGED if word is Word.ACCEPT else State.ARCHIVED
            stored = stored or word is not Word.RENEW
        self.trim(self.start)
        return stored

    def _spoken(self, member: str, said: Sequence[Said]) -> Iterator[tuple[Flight, Word]]:
        before = -1
        for each in said:
            size = each.last - each.first + 1
            if each.first <= before or size < 1:
                raise InvalidRequest(f"offsets {each.first} to {each.last} after {before}: each once, in their order")
            if len(each.words) != 1 and len(each.words) != size:
                raise InvalidRequest(f"{len(each.words)} acknowledgements for {size} records: one for all, or for each")
            if not _WORDS.issuperset(each.words):
                raise InvalidRequest(f"acknowledgements {sorted(set(each.words))[:5]}: there are 0 to {max(_WORDS)}")
            before = each.last
            first = max(each.first, self.start)
            if each.last - first >= len(self.flights):
                raise InvalidRecordState(f"not all of {each.first} to {each.last} are with {member}")
            for offset in range(first, each.last + 1):
                flight = self.flights.get(offset)
                if flight is None or flight.state is not State.ACQUIRED or flight.member != member:
                    raise InvalidRecordState(f"the record at {offset} is not with {member}")
                yield flight, Word(each.words[0] if len(each.words) == 1 else each.words[offset - each.first])

    def release(self, member: str, deliveries: int) -> bool:
        """The member goes: what is with it comes back; whether there was anything."""
        held = [each for each in self.flights.values() if each.state is State.ACQUIRED and each.member == member]
        for flight in held:
            self._come_back(flight, deliveries)
        self.trim(self.start)
        return bool(held)

    def expire(self, now: float, deliveries: int) -> bool:
        """Locks lapse; whether any did."""
        out = [flight for flight in self.flights.values() if flight.state is State.ACQUIRED]
        late = [flight for flight in out if flight.deadline <= now]
        for flight in late:
            self._come_back(flight, deliveries)
        self.due = min((flight.deadline for flight in out if flight.deadline > now), default=float("inf"))
        self.trim(self.start)
        return bool(late)

    def _come_back(self, flight: Flight, deliveries: int) -> None:
        if flight.count >= deliveries:
            flight.state = State.ARCHIVED
        else:
            flight.state = State.AVAILABLE
            self.available += 1

    def trim(self, log_start: int) -> None:
        """The start moves past what is done, and past what the log does not have any more."""
        over = []
        for offset, flight in self.flights.items():
            if offset >= log_start and flight.state not in _OVER:
                break
            over.append(offset)
        for offset in over:
            self.available -= self.flights.pop(offset).state is State.AVAILABLE
        self.end = max(self.end, log_start)
        self.start = next(iter(self.flights), self.end)

    @property
    def done(self) -> int:
        """Records beyond the start that are done."""
        return sum(flight.state in _OVER for flight in self.flights.values())


def _append(given: list[list[int]], offset: int, count: int) -> None:
    if given and given[-1][1:] == [offset - 1, count]:
        given[-1][1] = offset
    else:
        given.append([offset, offset, count])
