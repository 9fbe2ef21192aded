"""Who may ask. A token where one is set, and always away from loopback; and no web page, whatever name it was served
under: a browser tells Host and Origin, and DNS rebinding shows in the first (the name is not ours).
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from broker.admin.errors import AdminError
from broker.http import Request
from broker.starting import CannotStart

LEAST_TOKEN = 16
"""Characters of a token: fewer could be guessed."""


def read_token(told: Path | None) -> str | None:
    """The token that is in the file of `--admin-token-file`; CannotStart when there is none worth the name."""
    if told is None:
        return None
    try:
        token = told.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"--admin-token-file {told}: {error}; give a file with the token in it") from error
    if len(token) < LEAST_TOKEN:
        raise CannotStart(f"--admin-token-file {told}: write at least {LEAST_TOKEN} characters into it")
    return token


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Guard:
    host: str
    """Where the broker listens."""
    token: str | None

    def check(self, request: Request) -> None:
        """AdminError unless this request may go on."""
        local = is_loopback(self.host)
        if self.token is None and not local:
            raise AdminError(
                f"the admin API is off: the broker listens at {self.host or 'every address'} and has no token",
                next="start it with --admin-token-file, or with --http on 127.0.0.1",
                status=HTTPStatus.FORBIDDEN,
            )
        self._check_page(request, local=local)
        if self.token is not None:
            self._check_token(request, self.token)

    def _check_page(self, request: Request, *, local: bool) -> None:
        host = request.headers.get("host", "")
        if local and not is_loopback(_name(host)):
            raise AdminError(
                f"the Host header names {_name(host)[:64]!r}",
                next="use 127.0.0.1 or localhost",
                status=HTTPStatus.FORBIDDEN,
            )
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise AdminError(
                f"a page of {origin[:64]!r} asks", next="ask without a browser", status=HTTPStatus.FORBIDDEN
            )

    def _check_token(self, request: Request, token: str) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        matches = hmac.compare_digest(given.strip().encode(), token.encode())
        if scheme.lower() != "bearer" or not matches:
            raise AdminError(
                "no token, or a wrong one",
                next="send Authorization: Bearer with the content of --admin-token-file",
                status=HTTPStatus.UNAUTHORIZED,
            )


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
