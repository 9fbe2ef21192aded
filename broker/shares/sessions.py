"""Share sessions (KIP-932): which partitions a member reads from this broker, kept between its requests.

1. A session is one member's: a request carries the next epoch, and any other is refused (INVALID_SHARE_SESSION_EPOCH).
2. It ends with its last request, with a new one of its member, or with its connection; what its member holds comes
   back then.
3. Sessions and their partitions are bounded (law 12). A new one takes the place of those that were silent for two
   minutes; otherwise it is refused (SHARE_SESSION_LIMIT_REACHED).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from broker.clock import Clock
from broker.errors import InvalidShareSessionEpoch, ShareSessionLimitReached, ShareSessionNotFound

Place = tuple[UUID, int]
Key = tuple[str, str]
"""Group and member."""
INITIAL, FINAL = 0, -1
SILENT_S = 120.0
MAX_PARTITIONS = 20_000
"""Of all sessions together."""
_LAST_EPOCH = 2**31 - 1


@dataclass(kw_only=True, eq=False)
class ShareSession:
    """One member's."""

    key: Key
    owner: object
    """The connection it came through last."""
    used_s: float
    epoch: int = 1
    """That the next request must have."""
    places: dict[Place, None] = field(default_factory=dict)
    """In the order in which they are read next."""
    fresh: set[Place] = field(default_factory=set)
    """Those that nobody has looked at in the store since the session reads them."""

    def gave(self, place: Place) -> None:
        """The others come first next time."""
        if place in self.places:
            del self.places[place]
            self.places[place] = None


class ShareSessions:
    """Those of one broker."""

    def __init__(self, *, clock: Clock, slots: int) -> None:
        self._clock, self._slots = clock, slots
        self._sessions: dict[Key, ShareSession] = {}
        """The longest unused one first."""
        self._owned: dict[object, dict[Key, None]] = {}
        self.partitions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def use(self, key: Key, epoch: int, owner: object) -> ShareSession:
        """The session that a request belongs to: a new one for the first epoch. The last request's is given once more,
        and its sender is to `end` it.
        """
        if epoch == INITIAL:
            session = ShareSession(key=key, owner=owner, used_s=self._clock.monotonic())
            self._make_room()
        else:
            found = self._sessions.get(key)
            if found is None:
                raise ShareSessionNotFound(f"no share session of {key[1]} in group {key[0]}: start a new one")
            if epoch not in (FINAL, found.epoch):
                raise InvalidShareSessionEpoch(f"the share session is at epoch {found.epoch}: start a new one")
            session = found
            session.epoch = 1 if session.epoch == _LAST_EPOCH else session.epoch + (epoch != FINAL)
            del self._sessions[key]
            self._disown(session)
        session.owner, session.used_s = owner, self._clock.monotonic()
        self._sessions[key] = session
        self._owned.setdefault(owner, {})[key] = None
        return session

    def change(self, session: ShareSession, added: Iterable[Place], forgotten: Iterable[Place]) -> None:
        """Adds and drops partitions. ShareSessionLimitReached: none was added."""
        for place in forgotten:
            self.partitions -= session.places.pop(place, self) is None
            session.fresh.discard(place)
        new = [place for place in dict.fromkeys(added) if place not in session.places]
        if self.partitions + len(new) > MAX_PARTITIONS:
            raise ShareSessionLimitReached(f"{MAX_PARTITIONS} partitions are read in share sessions of this broker")
        session.places.update(dict.fromkeys(new))
        session.fresh.update(new)
        self.partitions += len(new)

    def end(self, key: Key) -> ShareSession | None:
        """Forgets a session; what it was."""
        session = self._sessions.pop(key, None)
        if session is not None:
            self.partitions -= len(session.places)
            self._disown(session)
        return session

    def of(self, owner: object) -> list[ShareSession]:
        """Those that came through a connection."""
        return [self._sessions[key] for key in self._owned.get(owner, ())]

    def _disown(self, session: ShareSession) -> None:
        owned = self._owned.get(session.owner, {})
        owned.pop(session.key, None)
        if not owned:
            self._owned.pop(session.owner, None)

    def _make_room(self) -> None:
        while len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()))
            if self._clock.monotonic() - oldest.used_s < SILENT_S:
                raise ShareSessionLimitReached(
                    f"{self._slots} share sessions are open: see group.share.max.share.sessions"
                )
            self.end(oldest.key)
