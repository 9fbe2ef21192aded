"""Who may call: the bearer token, and the Host and Origin of the request.

1. A write needs the token, loopback included: any page in a browser on this machine can reach loopback.
2. Host must be the address served on (a rebound DNS name is not), and Origin, where there is one, must match it.
3. Away from loopback reads need the token too, and TLS or an explicit `--insecure`.
4. A second token may only push: what exporters and scripts hold neither approves a plan nor reads anything.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from agent.loop.refused import Refused

TOKEN_PREFIX = "spt_"
TOKEN, PUSH_TOKEN = "token", "push-token"
"""What the audit calls them."""
PUSH_FILE = PUSH_TOKEN
"""Beside the token's own file."""


def ensure_token(path: Path) -> str:
    """The token in `path`, made with mode 0600 when there is none; never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with os.fdopen(handle, "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    return token


def _read(path: Path) -> str:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise Refused(
            f"{path} has mode {mode:03o}: others may read it", f"chmod 600 {path}, or delete it for a new one"
        )
    token = path.read_text("utf-8").strip()
    if not token.startswith(TOKEN_PREFIX):
        raise Refused(f"{path} holds no token", "delete it and start the agent again: it makes a new one")
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Door:
    """Decides about one request."""

    def __init__(self, *, token: str, host: str, push_token: str = "") -> None:
        """`push_token`: what may push and nothing else; empty: nobody has one."""
        self._token = token
        self._push_token = push_token
        self._host = host
        self._open_reads = is_loopback(host)

    def check(self, *, write: bool, host: str, origin: str, authorization: str, push: bool = False) -> str:
        """Which token came; empty for none. Refused with 401 or 403 and the reason; a `push` may come with either."""
        self._check_host(host)
        if origin and urlsplit(origin).netloc != host:
            raise Refused(f"origin {origin} may not call this agent", "open the agent's own address", number=403)
        if _is(authorization, self._token):
            return TOKEN
        if not write and self._open_reads:
            return ""
        pushes = bool(self._push_token) and _is(authorization, self._push_token)
        if pushes and not push:
            raise Refused("this token may only push", f"use what DIR/token holds, not DIR/{PUSH_FILE}", number=403)
        if not pushes:
            raise Refused(
                "this call needs the token", "send Authorization: Bearer with what DIR/token holds", number=401
            )
        return PUSH_TOKEN

    def _check_host(self, host: str) -> None:
        name = urlsplit(f"//{host}").hostname or ""
        if self._open_reads and not is_loopback(name):
            raise Refused(f"host {host!r} is not this agent's address", f"call it as {self._host}", number=403)


def _is(authorization: str, token: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), token.encode())
