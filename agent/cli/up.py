"""`streampilot up`: a cluster and its agent as child processes, watched until SIGTERM or Ctrl-C.

1. Children never outlive it: each is stopped by pid, and each watches its parent in case this process is killed.
2. A broker that dies stays dead and is said, unless `--restart`; the ready line holds the command that starts it again.
3. stdout carries exactly one line, the ready line.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any, TextIO

from agent.cli.child import Child, narrate, said
from agent.cli.commands import UpOptions, agent_command, broker_command
from agent.cli.complaint import Complaint
from agent.cli.parent import leave_with_parent

READY_TIMEOUT_S = 60.0
STOP_PATIENCE_S = 20.0
RESTART_PAUSE_S = (1.0, 2.0, 5.0, 10.0)


def bring_up(options: UpOptions) -> int:
    """Runs until it is told to stop; 0 then, Complaint when the cluster could not start."""
    (options.directory / "bill").mkdir(parents=True, exist_ok=True)
    with _claim(options.directory):
        _check_ports(options)
        return asyncio.run(Cluster(options).run())


def _claim(directory: Path) -> TextIO:
    """One `up` per directory: held by flock, so a killed one leaves nothing behind."""
    path = directory / "up.lock"
    held = open(path, "a+")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.seek(0)
        pid = held.read().strip() or "unknown"
        held.close()
        raise Complaint(f"{directory} is in use by pid {pid}", "stop that one or choose another --dir") from None
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    return held


def _check_ports(options: UpOptions) -> None:
    """Says which port is taken before anything is started."""
    wanted = {
        "--port": _range(options.port, options.brokers),
        "--http-port": _range(options.http_port, options.brokers),
    }
    wanted["--agent-port"] = _range(options.agent_port or 0, 1)
    for flag, ports in wanted.items():
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except (OSError, OverflowError):
                    raise Complaint(f"port {port} on 127.0.0.1 is in use", f"choose another {flag}, or 0") from None


def _range(first: int, count: int) -> range:
    return range(first, first + count) if first else range(0)


class Cluster:
    """The children of one `up`."""

    def __init__(self, options: UpOptions) -> None:
        self._options = options
        self._brokers: list[Child] = []
        self._agent: Child | None = None
        self._stop = asyncio.Event()
        self._watchers: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Start, ready line, watch, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self._options.exit_with_parent:
            leave_with_parent(loop, self._stop.set)
        try:
            started = await self._until_stopped(self._start())
            if started:
                self._watchers = [asyncio.create_task(self._watch(child)) for child in self._children()]
                sys.stdout.write(json.dumps(self._ready_line()) + "\n")
                sys.stdout.flush()
                await self._stop.wait()
        finally:
            await self._stop_all()
        return 0

    async def _until_stopped(self, work: Any) -> bool:
        """True when `work` finished; False when a signal came first."""
        task, stop = asyncio.ensure_future(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False

    async def _start(self) -> None:
        options = self._options
        for number in range(options.brokers):
            kafka, http = ((base + number if base else 0) for base in (options.port, options.http_port))
            self._brokers.append(Child(f"broker {number}", broker_command(options, number, kafka, http)))
        narrate(f"starting {options.brokers} broker(s) in {options.directory}")
        first, *others = self._brokers
        # The first one lays out the metadata store alone: a cluster is born once.
        await first.start(READY_TIMEOUT_S)
        await _all_or_raise([child.start(READY_TIMEOUT_S) for child in others])
        for number, child in enumerate(self._brokers):
            child.command = broker_command(options, number, *_ports(child.ready))
            narrate(
                f"broker {number} ready: kafka {child.ready['kafka']}, {child.ready['http']}, {child.ready['zone']}"
            )
        if options.agent_port is not None:
            await self._start_agent(options.agent_port)

    async def _start_agent(self, port: int) -> None:
        kafka = [str(child.ready["kafka"]) for child in self._brokers]
        metrics = [f"{child.ready['http']}/metrics" for child in self._brokers]
        self._agent = Child("agent", agent_command(self._options, kafka, metrics, port))
        await self._agent.start(READY_TIMEOUT_S)
        self._agent.command = agent_command(self._options, kafka, metrics, _port(str(self._agent.ready["agent"])))
        narrate(f"agent ready: {self._agent.ready['agent']}")

    def _children(self) -> list[Child]:
        return [*self._brokers, *([self._agent] if self._agent else [])]

    def _ready_line(self) -> dict[str, Any]:
        brokers = [
            {**{key: child.ready.get(key) for key in ("id", "pid", "kafka", "http", "zone")}, "command": child.command}
            for child in self._brokers
        ]
        return {
            "bootstrap": ",".join(str(broker["kafka"]) for broker in brokers),
            "agent": self._agent.ready.get("agent") if self._agent else None,
            "brokers": brokers,
        }

    async def _watch(self, child: Child) -> None:
        """Says when a child dies, and starts it again where that was asked for."""
        for attempt in range(1 << 30):
            status = await child.wait()
            if self._stop.is_set():
                return
            narrate(f"{child.name} (pid {child.pid}) {said(status)}")
            if not self._options.restart:
                narrate(f"{child.name} stays dead; start it again with: {shlex.join(child.command)}")
                return
            await self._start_again(child, attempt)

    async def _start_again(self, child: Child, attempt: int) -> None:
        while not self._stop.is_set():
            await self._pause(RESTART_PAUSE_S[min(attempt, len(RESTART_PAUSE_S) - 1)])
            attempt += 1
            if self._stop.is_set():
                return
            try:
                await child.start(READY_TIMEOUT_S)
                narrate(f"{child.name} started again, pid {child.pid}")
                return
            except Complaint as complaint:
                narrate(complaint.line())
                await child.stop(STOP_PATIENCE_S)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _stop_all(self) -> None:
        self._stop.set()
        if any(child.alive for child in self._children()):
            narrate("stopping")
        if self._agent:
            await self._agent.stop(STOP_PATIENCE_S)
        await asyncio.gather(*(child.stop(STOP_PATIENCE_S) for child in self._brokers))
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)


async def _all_or_raise(starts: list[Any]) -> None:
    """Waits for all of them, then raises the first failure: none is left half started and unwatched."""
    for outcome in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _ports(ready: dict[str, Any]) -> tuple[int, int]:
    return _port(str(ready["kafka"])), _port(str(ready["http"]))


def _port(address: str) -> int:
    return int(address.rstrip("/").rpartition(":")[2])
