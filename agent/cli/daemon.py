"""`streampilot agent`: the socket first, then the rooms, then the beat and the HTTP API on one event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from typing import Any

from agent.cli.complaint import Complaint
from agent.cli.parent import leave_with_parent
from agent.loop.config import AgentConfig, load
from agent.loop.fleet import Fleet, make_fleet
from agent.loop.refused import Refused
from agent.loop.rounds import beat
from agent.model.clock import Clock, SystemClock
from agent.serve.access import PUSH_FILE, Door, ensure_token
from agent.serve.app import make_app
from agent.serve.exporting import Exporting, interval_of, receivers
from agent.serve.metrics import AgentMetrics
from agent.serve.server import bind, check_exposure, make_server, until_started


def watch(config: str, flags: dict[str, Any], *, exit_with_parent: bool) -> int:
    """Runs until SIGTERM or Ctrl-C."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    for noisy in ("httpx", "httpcore", "kafka", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    clock = SystemClock()
    try:
        settings = load(config, os.environ, flags)
        if not settings.clusters:
            raise Refused(
                "no cluster to watch", "pass --bootstrap-servers HOST:PORT, or a [[cluster]] in streampilot.toml"
            )
        check_exposure(settings)
        listener = bind(settings.host, settings.port)
        with listener:
            token = ensure_token(settings.token_file)
            push_token = ensure_token(settings.token_file.with_name(PUSH_FILE))
            door = Door(token=token, push_token=push_token, host=settings.host)
            address = _address(settings, listener)
            exporting = Exporting(receivers(settings.otlp_endpoint, os.environ), clock=clock, instance=address)
            fleet = make_fleet(settings, clock, exporting.tracer)
            exporting.follow(AgentMetrics(fleet).collect, interval_of(os.environ))
            try:
                return asyncio.run(run(fleet, settings, listener, door, clock, exit_with_parent=exit_with_parent))
            finally:
                exporting.unfollow()
                fleet.close()
                exporting.close()
    except Refused as refused:
        raise Complaint(refused.what, refused.next_step) from None


async def run(
    fleet: Fleet, settings: AgentConfig, listener: socket.socket, door: Door, clock: Clock, *, exit_with_parent: bool
) -> int:
    """Serves and beats until it is told to stop; first of all it takes up the plans that a restart interrupted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if exit_with_parent:
        leave_with_parent(loop, stop.set)
    server = make_server(make_app(fleet, door), settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until_started(server, serving)
    sys.stdout.write(json.dumps({"agent": _address(settings, listener), "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    for agent in fleet.agents:
        await asyncio.to_thread(agent.actions.resume)
    beating = [
        asyncio.create_task(
            beat(agent.round, every_s=settings.scrape_interval_s, clock=clock, stats=agent.rounds, stop=stop)
        )
        for agent in fleet.agents
    ]
    await asyncio.wait({serving, *beating}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    fleet.stopping = True
    server.should_exit = True
    await asyncio.gather(*beating, serving)
    return 0


def _address(settings: AgentConfig, listener: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{listener.getsockname()[1]}"
