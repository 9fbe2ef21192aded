"""What the clients saw, kept small enough for millions of records, and judged while it happens.

A value is named by its `Author` and a sequence number that counts up per author and partition, so that a value met
anywhere says who wrote it and what came before. Per partition one array holds the value that each offset was ever seen
to have: an acknowledgement, a poll and a read-back all write to it, and the second to disagree is an anomaly.

Pure: no clock, no sockets. `checker.py` gives the verdict over what is gathered here.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

NOTHING = -1
SEQUENCE_BITS = 40
KEPT_OF_A_KIND = 5
"""Anomalies of one kind that are kept with their words; the rest is counted."""

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One record's name."""

    author: int
    sequence: int

    def code(self) -> int:
        return self.author << SEQUENCE_BITS | self.sequence

    @staticmethod
    def of(code: int) -> Value:
        return Value(author=code >> SEQUENCE_BITS, sequence=code & ((1 << SEQUENCE_BITS) - 1))

    def __str__(self) -> str:
        return f"{self.author}:{self.sequence}"


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """A promise that was broken, in words."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(kw_only=True)
class Anomalies:
    """The first few of each kind with their words, all of them counted."""

    found: list[Anomaly] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT_OF_A_KIND:
            self.found.append(Anomaly(kind=kind, text=text))

    def __iter__(self) -> Iterator[Anomaly]:
        return iter(self.found)

    def __len__(self) -> int:
        return self.counts.total()


@dataclass(kw_only=True)
class Written:
    """What one author wrote to one partition: a byte per sequence number."""

    SENT, ACKED, FAILED = 0, 1, 2
    idempotent: bool
    states: bytearray = field(default_factory=bytearray)

    def sent(self) -> int:
        """The next sequence number; its fate is open."""
        self.states.append(self.SENT)
        return len(self.states) - 1


@dataclass(kw_only=True)
class Part:
    """One partition as all clients together saw it."""

    seen: array[int] = field(default_factory=lambda: array("q"))
    """Offset to the code of its value; NOTHING where nobody has looked."""
    written: dict[int, Written] = field(default_factory=dict)
    """By author."""
    end: int = 0
    """Where the newest read-back ended: everything below it is there now."""

    def at(self, offset: int) -> int:
        return self.seen[offset] if offset < len(self.seen) else NOTHING

    def put(self, offset: int, code: int) -> None:
        if offset >= len(self.seen):
            self.seen.extend([NOTHING] * (offset + 1 - len(self.seen)))
        self.seen[offset] = code


@dataclass(kw_only=True)
class _Group:
    """A consumer group on one partition."""

    read_to: int = 0
    """Everything below it was read by a member."""
    floor: int = 0
    """The highest offset whose commit was answered."""
    unanswered: set[int] = field(default_factory=set)
    """Commits without an answer may take effect at any later time."""


class History:
    """Methods are told what happened, in the order in which the one who tells saw it."""

    def __init__(self) -> None:
        self.parts: dict[Place, Part] = {}
        self.anomalies = Anomalies()
        self.acked = self.failed = self.read = 0
        self._groups: dict[tuple[str, Place], _Group] = {}

    def part(self, place: Place) -> Part:
        return self.parts.setdefault(place, Part())

    # -- writing -----------------------------------------------------------------------------------------------------

    def author(self, place: Place, author: int, *, idempotent: bool) -> Written:
        return self.part(place).written.setdefault(author, Written(idempotent=idempotent))

    def acknowledged(self, place: Place, value: Value, offset: int) -> None:
        """The cluster promised to keep it; `offset` is -1 when the answer did not say where."""
        self.acked += 1
        self.part(place).written[value.author].states[value.sequence] = Written.ACKED
        if offset >= 0:
            self._agree(place, offset, value.code(), "an acknowledgement")

    def gave_up(self, place: Place, value: Value, why: str) -> None:
        """The client stopped trying. Its fate is open; for an idempotent producer with retries left it is a fault."""
        self.failed += 1
        written = self.part(place).written[value.author]
        written.states[value.sequence] = Written.FAILED
        if written.idempotent:
            self.anomalies.add("gave up", f"{_name(place)}: {value} of an idempotent producer failed: {why}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def session(self, reader: str, place: Place, group: str | None = None) -> Session:
        """A reader that begins somewhere, and from then on must meet every offset in order."""
        return Session(history=self, reader=reader, place=place, group=group)

    def saw(self, place: Place, offset: int, code: int, reader: str) -> None:
        self.read += 1
        part = self.part(place)
        known = part.at(offset)
        if known == NOTHING:
            part.put(offset, code)
        elif known != code:
            self._agree(place, offset, code, reader)

    def _agree(self, place: Place, offset: int, code: int, who: str) -> None:
        part = self.part(place)
        known = part.at(offset)
        if known == NOTHING:
            part.put(offset, code)
        elif known != code:
            self.anomalies.add(
                "two values",
                f"{_name(place)} offset {offset} was {Value.of(known)}, {who} says {Value.of(code)}",
            )

    def lost_place(self, reader: str, place: Place, why: str) -> None:
        """A reader was told that its position is not there."""
        self.anomalies.add("position gone", f"{reader} on {_name(place)}: {why}")

    # -- committed offsets -------------------------------------------------------------------------------------------

    def group(self, group: str, place: Place) -> _Group:
        return self._groups.setdefault((group, place), _Group())

    def committing(self, group: str, place: Place, offset: int) -> None:
        self.group(group, place).unanswered.add(offset)

    def committed(self, group: str, place: Place, offset: int) -> None:
        """A commit was answered."""
        of = self.group(group, place)
        of.floor = max(of.floor, offset)
        of.unanswered.discard(offset)

    def fetched_commit(self, group: str, place: Place, offset: int) -> None:
        """What the coordinator says is committed; commits without an answer excuse a step back to exactly them."""
        of = self.group(group, place)
        if offset < of.floor and offset not in of.unanswered:
            self.anomalies.add(
                "commit went back", f"group {group} on {_name(place)}: {of.floor} was committed, now it is {offset}"
            )


@dataclass(kw_only=True)
class Session:
    """One assignment of one partition to one reader: offsets without a gap and never back."""

    history: History
    reader: str
    place: Place
    group: str | None = None
    due: int = NOTHING

    def begins(self, offset: int) -> None:
        """The position that was asked for, when it is known."""
        self.due = offset

    def saw(self, offset: int, code: int) -> None:
        if self.due == NOTHING:
            self._first(offset)
        elif offset != self.due:
            self._jump(offset)
        self.due = offset + 1
        if self.group is not None:
            of = self.history.group(self.group, self.place)
            of.read_to = max(of.read_to, self.due)
        self.history.saw(self.place, offset, code, self.reader)

    def _first(self, offset: int) -> None:
        """Where a member begins is where the group got to, or before it."""
        if self.group is None:
            return
        reached = self.history.group(self.group, self.place).read_to
        if offset > reached:
            text = f"{self.reader} on {_name(self.place)} begins at {offset}, the group had read to {reached}"
            self.history.anomalies.add("skipped", text)

    def _jump(self, offset: int) -> None:
        kind = "skipped" if offset > self.due else "poll went back"
        text = f"{self.reader} on {_name(self.place)}: offset {offset} where {self.due} is due"
        self.history.anomalies.add(kind, text)


def _name(place: Place) -> str:
    return f"{place[0]}-{place[1]}"
