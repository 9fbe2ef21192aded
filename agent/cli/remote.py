"""Talking to a running agent over its HTTP API: address, token, errors as one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from agent.cli.complaint import Complaint

DEFAULT_AGENT = "http://127.0.0.1:8099"
TOKEN_PREFIX = "spt_"
TIMEOUT_S = 30.0
UNAUTHORIZED = 401
TOKEN_STEP = "pass --token-file DIR/token, with the agent's --dir, or set STREAMPILOT_TOKEN"

AgentUrl = Annotated[str, typer.Option("--agent", envvar="STREAMPILOT_AGENT", help="The agent's address.")]
Named = Annotated[str, typer.Option("--cluster", help="One cluster by name, where the agent watches several.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
TokenFile = Annotated[str, typer.Option("--token-file", envvar="STREAMPILOT_TOKEN_FILE", help="File with the token.")]


class Remote:
    """One agent, as a client sees it."""

    def __init__(self, address: str, token_file: str = "", *, writes: bool = False) -> None:
        import httpx

        self.address = address.rstrip("/")
        if urlsplit(self.address).scheme not in {"http", "https"}:
            raise Complaint(f"--agent {address!r} is not an http:// address", f"write it like {DEFAULT_AGENT}")
        token = find_token(self.address, token_file, required=writes)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.address, headers=headers, timeout=TIMEOUT_S)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET."""
        return self._call("GET", path, params={key: value for key, value in query.items() if value is not None})

    def post(self, path: str, body: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
        """The JSON of a POST."""
        return self._call("POST", path, json=body or {}, timeout=timeout_s)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        import httpx

        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.TimeoutException:
            raise Complaint(f"the agent at {self.address} did not answer {path} in time", "try again") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Complaint(
                f"no agent answers at {self.address} ({error})", "start one (streampilot up) or pass --agent URL"
            ) from None
        try:
            body = answer.json()
        except ValueError:
            raise Complaint(
                f"{self.address}{path} answered {answer.status_code}, not JSON", "is it an agent?"
            ) from None
        if answer.is_error:
            raise _refusal(answer.status_code, body)
        return body


def _refusal(status: int, body: Any) -> Complaint:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return Complaint(f"the agent answered {status}", "is it of the same version?")
    if status == UNAUTHORIZED:
        return Complaint("the agent does not know this token, or got none", TOKEN_STEP)
    return Complaint(str(error.get("what", status)), str(error.get("next", "")))


def find_token(address: str, token_file: str, *, required: bool) -> str:
    """`STREAMPILOT_TOKEN`, else the file named, else the file that an agent on this machine says it wrote.

    That last one is read only for a loopback agent and sent only when it looks like a token: an address must not be
    able to make this command hand over some other file.
    """
    if token := os.environ.get("STREAMPILOT_TOKEN", ""):
        return token
    if token_file:
        return _read(Path(token_file))
    if not required:
        return ""
    path = _announced(address)
    if path is None:
        raise Complaint("this writes, and there is no token", TOKEN_STEP)
    return _read(path)


def token_if_any(address: str, token_file: str) -> str:
    """For a screen that can also only read: the token where this user may read it, else nothing."""
    try:
        return find_token(address, token_file, required=True)
    except Complaint:
        if token_file:
            raise
        return ""


def _announced(address: str) -> Path | None:
    import httpx

    if urlsplit(address).hostname not in {"127.0.0.1", "localhost", "::1"}:
        return None
    try:
        path = httpx.get(f"{address.rstrip('/')}/api/status", timeout=5.0).json().get("token_file")
    except (httpx.HTTPError, ValueError, AttributeError):
        return None
    return Path(path) if isinstance(path, str) else None


def _read(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise Complaint(f"cannot read the token {path}: {reason}", "check --token-file and its owner") from None
    if not token.startswith(TOKEN_PREFIX) or not token.isascii() or len(token) > 200:
        raise Complaint(
            f"{path} holds no token", f"a token starts with {TOKEN_PREFIX}; point --token-file at DIR/token"
        )
    return token
