"""Fetch sessions (KIP-227): what a client reads is kept between its requests, so that each names and is answered only
what changed.

1. A session is one client's: a request carries the next epoch, and any other is refused (INVALID_FETCH_SESSION_EPOCH),
   so that no answer is applied twice or lost unnoticed.
2. An incremental answer leaves out a partition that has no records, no error, and the marks it had last time.
3. Partitions that gave records go to the end: what an answer's limit cut off comes first in the next.
4. Slots and partitions of all sessions together are bounded (law 12). A new session takes the place of one that was
   silent for two minutes, or of a smaller one as old as that; otherwise its client is answered without a session (id
   0) and goes on sending whole requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from broker.clock import Clock
from broker.errors import FetchSessionIdNotFound, FetchSessionTopicIdError, InvalidFetchSessionEpoch
from broker.wire.fetch import FetchedPartition, FetchPartition, FetchRequest, FetchTopic

Key = str | UUID
Topics = tuple[tuple[Key, tuple[FetchedPartition, ...]], ...]
INITIAL, FINAL = 0, -1
"""Epochs that ask for a new session, and for none (ending the one that is named)."""
EVICTION_S = 120.0
MAX_PARTITIONS = 100_000
"""Of all sessions together: about 35 MB."""
_LAST_EPOCH = 2**31 - 1


@dataclass(kw_only=True, slots=True)
class _Followed:
    """One partition of a session: what is asked of it, and what was last said."""

    asked: FetchPartition
    marks: tuple[int, int, int] | None = None
    """High watermark, last stable offset and log start; None: say them."""


@dataclass(kw_only=True)
class Session:
    """One client's."""

    id: int
    by_id: bool
    """Whether topics are named by id (from version 13 on)."""
    created_s: float
    used_s: float
    epoch: int = 1
    """That the next request must have."""
    topics: dict[Key, dict[int, _Followed]] = field(default_factory=dict)
    size: int = 0

    def update(self, request: FetchRequest) -> None:
        """Adds and changes what the request names, and drops what it forgets."""
        for topic, indexes in request.forgotten:
            followed = self.topics.get(topic, {})
            for index in indexes:
                self.size -= followed.pop(index, None) is not None
            if not followed:
                self.topics.pop(topic, None)
        for each in request.topics:
            followed = self.topics.setdefault(each.topic, {})
            for asked in each.partitions:
                known = followed.get(asked.index)
                if known is None:
                    followed[asked.index] = _Followed(asked=asked)
                    self.size += 1
                else:
                    known.asked = asked

    def asked(self) -> tuple[FetchTopic, ...]:
        """Everything the client reads, as one request would name it."""
        return tuple(
            FetchTopic(topic=topic, partitions=tuple(each.asked for each in followed.values()))
            for topic, followed in self.topics.items()
        )

    def changed(self, found: Topics, *, whole: bool) -> Iterator[tuple[Key, tuple[FetchedPartition, ...]]]:
        """What the client has to be told: everything at first, later what is new to it."""
        for topic, parts in found:
            followed = self.topics.get(topic, {})
            told = tuple([part for part in parts if self._is_news(followed.get(part.index), part) or whole])
            for part in told:
                if part.records and (moved := followed.pop(part.index, None)) is not None:
                    followed[part.index] = moved
            if told:
                if any(part.records for part in told) and topic in self.topics:
                    self.topics[topic] = self.topics.pop(topic)
                yield topic, told

    def _is_news(self, followed: _Followed | None, part: FetchedPartition) -> bool:
        marks = (part.high_watermark, part.last_stable, part.log_start)
        if followed is None:
            return True
        new = followed.marks != marks or bool(part.records) or part.preferred_replica >= 0
        followed.marks = None if part.error_code else marks
        return new or part.error_code != 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One request's part of a session, or of none."""

    topics: tuple[FetchTopic, ...]
    session: Session | None = None
    whole: bool = True
    """Everything is answered."""

    def answer(self, found: Topics) -> tuple[int, Topics]:
        """The session's id and what is to be said of what was found."""
        if self.session is None:
            return 0, found
        return self.session.id, tuple(self.session.changed(found, whole=self.whole))


class FetchSessions:
    """Those of one broker."""

    def __init__(self, *, clock: Clock, new_id: Callable[[], int], slots: int) -> None:
        """`new_id` gives random numbers of 31 bits."""
        self._clock, self._new_id, self._slots = clock, new_id, slots
        self._sessions: dict[int, Session] = {}
        """The longest unused one first."""
        self.partitions = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def read(self, request: FetchRequest) -> Reading:
        """What the request reads. FetchSessionIdNotFound or InvalidFetchSessionEpoch: the client starts anew."""
        if request.session_epoch in (INITIAL, FINAL):
            if request.session_id:
                self._end(request.session_id)
            session = self._begin(request) if request.session_epoch == INITIAL else None
            return Reading(topics=request.topics, session=session)
        session = self._sessions.get(request.session_id)
        if session is None:
            raise FetchSessionIdNotFound(f"no fetch session {request.session_id}: start a new one")
        if request.session_epoch != session.epoch:
            raise InvalidFetchSessionEpoch(f"session {session.id} is at epoch {session.epoch}: start a new one")
        if any(isinstance(key, UUID) is not session.by_id for key in _keys(request)):
            raise FetchSessionTopicIdError(f"session {session.id} names topics the other way: start a new one")
        before = session.size
        session.update(request)
        self.partitions += session.size - before
        if not session.topics or self.partitions > MAX_PARTITIONS:
            self._end(session.id)
            return Reading(topics=session.asked())
        session.epoch = 1 if session.epoch == _LAST_EPOCH else session.epoch + 1
        session.used_s = self._clock.monotonic()
        self._sessions[session.id] = self._sessions.pop(session.id)
        return Reading(topics=session.asked(), session=session, whole=False)

    def _begin(self, request: FetchRequest) -> Session | None:
        size = sum(len(each.partitions) for each in request.topics)
        if not size or not self._make_room(size):
            return None
        now = self._clock.monotonic()
        while (fresh := self._new_id()) in self._sessions or not fresh:
            continue
        by_id = isinstance(request.topics[0].topic, UUID)
        session = Session(id=fresh, by_id=by_id, created_s=now, used_s=now)
        session.update(request)
        self._sessions[fresh] = session
        self.partitions += session.size
        return session

    def _make_room(self, size: int) -> bool:
        """Whether another session of that size may begin; one old session goes for it where there is no slot."""
        now = self._clock.monotonic()
        if len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None:
                return False
            if now - oldest.used_s <= EVICTION_S:
                old = [each for each in self._sessions.values() if now - each.created_s > EVICTION_S]
                smallest = min(old, key=lambda each: each.size, default=None)
                if smallest is None or smallest.size >= size:
                    return False
                oldest = smallest
            self.evictions += 1
            self._end(oldest.id)
        return self.partitions + size <= MAX_PARTITIONS

    def _end(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self.partitions -= session.size


def _keys(request: FetchRequest) -> Iterable[Key]:
    yield from (each.topic for each in request.topics)
    yield from (topic for topic, _ in request.forgotten)
