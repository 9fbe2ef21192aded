"""What can be wrong with a store or with what it answers."""

from __future__ import annotations

from obstore.exceptions import AlreadyExistsError, NotFoundError, PermissionDeniedError, PreconditionError

from broker.errors import KafkaStorageError


class StoreUnavailable(KafkaStorageError):
    """The store did not do it in time, tries and all; retriable."""


class Missing(KafkaStorageError):
    """There is no such object."""


class Damaged(KafkaStorageError):
    """Bytes that are not what was written, or not all of them; the store may do better on the next try."""


class Exists(Exception):
    """The key is taken: by somebody else, or by an earlier try of ours whose answer was lost."""


class BadStore(KafkaStorageError):
    """The URL or the store itself is unfit, or denies us; the message says what to change. At a start it is final; a
    running broker goes on as if the store were away, since credentials come back too.
    """


def final(error: Exception, key: str) -> Exception | None:
    """What no retry can change, as our own exception; None for everything else."""
    if isinstance(error, FileNotFoundError | NotFoundError):
        return Missing(f"no object {key}")
    if isinstance(error, Exists | AlreadyExistsError | PreconditionError):
        return Exists(f"{key} exists")
    if isinstance(error, PermissionError | PermissionDeniedError):
        return BadStore(f"{key}: permission denied; check the credentials and the path")
    return None


def first_line(error: BaseException) -> str:
    """What it says, in one line: `obstore` shows whole structures after the first."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def status_of(error: Exception | None) -> str:
    """The meter's word for how a request ended."""
    return {Missing: "missing", Exists: "exists"}.get(type(error), "error") if error else "error"
