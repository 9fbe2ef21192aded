"""Whose a directory and a bucket's prefix are: one agent's at a time, named to whoever else wants them.

    DIR/agent-id                who this agent is, as long as its directory lives
    DIR/agent.lock, owner.json  an flock for the life of the process; host, pid and since when, for the message
    PREFIX/owner.json           the same for a bucket, renewed every minute by a conditional PUT

Laws:
1. A killed agent leaves nothing to clean up: the flock goes with its process, and the prefix is given back at once to
   the same identity.
2. Another identity gets a prefix that was released, or not renewed for `LEASE_S` by the bucket's clock, or at once with
   `--take-over`; and only into an empty directory, which goes on with the names of series that the bucket holds. Two
   directories' numbers never mix under one prefix.
3. An owner that finds another one in its place sends nothing there any more, and says so.
4. A store that knows no conditions is read before it is written; a race of milliseconds is then possible.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from agent.model.clock import Clock
from agent.model.codec import timestamp
from agent.store.bucket import Bucket, BucketAway, Seen
from agent.store.errors import StoreError

NAME = "owner.json"
LEASE_S, RENEW_S = 300.0, 60.0
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Owner:
    agent: str
    host: str
    pid: int
    since: str
    renewals: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"the agent on {self.host}, pid {self.pid}, since {self.since}"

    def text(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def of(text: str | bytes) -> Owner | None:
        """None where it names nobody."""
        try:
            return Owner(**json.loads(text))
        except (ValueError, TypeError):
            return None


class Taken(BucketAway):
    """The prefix has another owner now."""


class Directory:
    """A directory held by this process."""

    def __init__(self, directory: Path, now: datetime) -> None:
        """StoreError names who holds it; OSError where it cannot be used at all."""
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(directory, now)
        except BaseException:
            self.release()
            raise

    def _take(self, directory: Path, now: datetime) -> None:
        noted = directory / NAME
        other = Owner.of(noted.read_bytes()) if noted.exists() else None
        here = (socket.gethostname(), os.getpid())
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if other is None or (other.host, other.pid) != here:
                raise StoreError(
                    f"{directory} is used by {other or 'another agent'}: end it or choose another --dir"
                ) from error
        except OSError:
            pass  # a file system without locks: the database has one of its own
        self.owner = Owner(agent=_identity(directory), host=here[0], pid=here[1], since=timestamp(now))
        with contextlib.suppress(OSError):  # a full disk: then only the name is missing from the refusal
            noted.write_text(self.owner.text())

    def lease(self, clock: Clock, *, take_over: bool) -> Callable[[Bucket, bool], Lease]:
        """Makes a lease of a bucket for who holds this directory."""
        return lambda bucket, empty: Lease(bucket, self.owner, clock, take_over=take_over, empty=empty)

    def release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _identity(directory: Path) -> str:
    file = directory / "agent-id"
    if not file.exists() or not file.read_text().strip():
        draft = file.with_suffix(".draft")
        draft.write_text(uuid.uuid4().hex + "\n")
        draft.replace(file)
    return file.read_text().strip()


class Lease:
    """A prefix of a bucket held by this process."""

    def __init__(self, bucket: Bucket, owner: Owner, clock: Clock, *, take_over: bool, empty: bool) -> None:
        """`empty`: the directory knows no series yet."""
        self._bucket = bucket
        self._owner = owner
        self._clock = clock
        self._take_over = take_over
        self._empty = empty
        self._mine: Seen | None = None
        self._renewed = 0.0
        self._lost = ""

    def claim(self) -> None:
        """At the start: StoreError where it is another's. A bucket that is away is asked again by `hold`."""
        try:
            self._claim()
        except Taken as error:
            raise StoreError(str(error)) from error

    def hold(self) -> None:
        """Before anything is sent: Taken where it is another's, BucketAway where nobody can say."""
        if self._lost:
            raise Taken(self._lost)
        if self._mine is None:
            self._claim()
        elif self._clock.monotonic() - self._renewed >= RENEW_S:
            self._put(replace(self._owner, renewals=self._owner.renewals + 1))

    def release(self) -> None:
        """At the end: anyone may have it next."""
        if self._mine is not None and not self._lost:
            self._put(replace(self._owner, released=True))
            self._mine = None

    def _claim(self) -> None:
        for _ in range(_TRIES):
            seen = self._bucket.peek(NAME)
            other = Owner.of(seen.data) if seen is not None else None
            if seen is not None and other is not None and other.agent != self._owner.agent:
                self._check(other, (self._clock.now() - seen.changed).total_seconds())
            self._mine = self._bucket.swap(NAME, self._owner.text().encode(), seen)
            if self._mine is not None:
                self._renewed, self._take_over = self._clock.monotonic(), False
                return
        raise Taken(f"{self._bucket.url} is being claimed by others: give each agent a prefix of its own")

    def _check(self, other: Owner, age_s: float) -> None:
        if not self._empty:
            raise Taken(
                f"{self._bucket.url} belongs to {other}, and holds other numbers for series than this directory: give "
                "this agent a prefix of its own (roll_off), or start it with an empty --dir to go on from the bucket"
            )
        if not (other.released or self._take_over or age_s > LEASE_S):
            raise Taken(
                f"{self._bucket.url} is used by {other}: end it, or give this agent a prefix of its own (roll_off); if "
                f"it is dead, wait {max(1.0, LEASE_S - max(age_s, 0.0)):.0f} s or pass --take-over"
            )

    def _put(self, owner: Owner) -> None:
        mine = self._bucket.swap(NAME, owner.text().encode(), self._mine)
        if mine is None:
            seen = self._bucket.peek(NAME)
            other = Owner.of(seen.data) if seen is not None else None
            if seen is not None and other is not None and not self._is_mine(other):
                self._lost = (
                    f"{self._bucket.url} was taken over by {other}: nothing goes there from here any more; end one of "
                    "the two, or give this agent a prefix of its own (roll_off)"
                )
                raise Taken(self._lost)
            mine = self._bucket.swap(NAME, owner.text().encode(), seen)  # a PUT that took effect unseen, or deleted
            if mine is None:
                raise BucketAway(f"{self._bucket.url}/{NAME} changes under this agent")
        self._mine, self._owner, self._renewed = mine, owner, self._clock.monotonic()

    def _is_mine(self, other: Owner) -> bool:
        mine = self._owner
        return (other.agent, other.host, other.pid, other.since) == (mine.agent, mine.host, mine.pid, mine.since)
