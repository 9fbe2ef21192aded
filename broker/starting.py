"""What keeps a broker from starting, in one line each."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator


class CannotStart(Exception):
    """Why not, and what to do about it, in one line."""


@contextlib.contextmanager
def open_port(flag: str, host: str, port: int) -> Iterator[None]:
    """A port that cannot be opened, said with its flag."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "is in use: stop what uses it, or give another port"
        else:
            hint = f"cannot be opened ({error.strerror or error}); give an address of this machine"
        raise CannotStart(f"{flag} {host}:{port} {hint}") from error


def printable(host: str) -> str:
    """A host as others on this machine may use it."""
    return "127.0.0.1" if host in ("", "0.0.0.0") else f"[{host}]" if ":" in host else host
