"""uvicorn, run inside the agent's own event loop, on a socket that was bound before anything else started."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from agent.loop.config import AgentConfig
from agent.loop.refused import Refused
from agent.serve.access import is_loopback

_SHUTDOWN_S = 3


def check_exposure(config: AgentConfig) -> None:
    """Refused away from loopback without TLS, unless `--insecure` says that it is wanted."""
    if bool(config.tls_cert) != bool(config.tls_key):
        raise Refused("TLS needs a certificate and a key, and one is missing", "pass both --tls-cert and --tls-key")
    for path in (config.tls_cert, config.tls_key):
        if path and not path.is_file():
            raise Refused(f"no TLS file {path}", "check --tls-cert and --tls-key")
    if not is_loopback(config.host) and not config.tls_cert and not config.insecure:
        raise Refused(
            f"{config.host} is reachable from other machines and there is no TLS",
            "pass --tls-cert and --tls-key, or --insecure",
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; Refused names the port when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror}", "choose another --port, or 0") from error
    return listener


class HttpServer(uvicorn.Server):
    """Signals are the command's business, not the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: FastAPI, config: AgentConfig) -> HttpServer:
    """A server for `app`; `serve(sockets=[...])` runs it until `should_exit`."""
    return HttpServer(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            ssl_certfile=str(config.tls_cert) if config.tls_cert else None,
            ssl_keyfile=str(config.tls_key) if config.tls_key else None,
        )
    )


async def until_started(server: HttpServer, task: asyncio.Task[None]) -> None:
    """Returns once requests are answered; raises what stopped the server from starting."""
    while not server.started:
        done, _ = await asyncio.wait({task}, timeout=0.02)
        if done:
            task.result()
            raise Refused("the HTTP server stopped before it started", "see the lines above")
