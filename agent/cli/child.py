"""One child process of `up`: started, awaited until its ready line, narrated, and stopped by its own pid.

Each child leads a session of its own, so that Ctrl-C at a terminal reaches `up` alone, which then stops them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any

from agent.cli.complaint import Complaint

_LINE_BYTES = 1 << 20


def narrate(text: str) -> None:
    """One line for the person watching; a closed stderr is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


class Child:
    """A named process. `ready` is its ready line once `start` has returned."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command
        self.ready: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._last_words = ""

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, timeout_s: float) -> None:
        """Spawns it and waits for its ready line; Complaint when it dies or says nothing in `timeout_s`."""
        self._process = await asyncio.create_subprocess_exec(
            *self.command,
            "--exit-with-parent",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_BYTES,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        self._pumps = [asyncio.create_task(self._narrate(stderr))]
        try:
            self.ready = await asyncio.wait_for(self._ready_line(stdout), timeout_s)
        except TimeoutError:
            raise Complaint(
                f"{self.name} (pid {self.pid}) was not ready within {timeout_s:.0f} s", "see its lines above"
            ) from None
        self._pumps.append(asyncio.create_task(self._drain(stdout)))

    async def _ready_line(self, stdout: asyncio.StreamReader) -> dict[str, Any]:
        while line := await stdout.readline():
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    return found
            narrate(f"{self.name} | {line.decode(errors='replace')}")
        status = await self.wait()
        await asyncio.gather(*self._pumps)
        words = self._last_words.removeprefix("streampilot: ") or "it said nothing"
        raise Complaint(f"{self.name} {said(status)} before it was ready: {words}")

    async def _narrate(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self._last_words = line.decode(errors="replace").strip() or self._last_words
            narrate(f"{self.name} | {line.decode(errors='replace')}")

    async def _drain(self, stream: asyncio.StreamReader) -> None:
        while await stream.readline():
            continue

    async def wait(self) -> int:
        """Its exit status; negative is the signal that ended it."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, patience_s: float) -> None:
        """SIGTERM, a bounded wait, then SIGKILL: by pid, and only this one."""
        if not self.alive:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), patience_s)
        except TimeoutError:
            narrate(f"{self.name} (pid {self.pid}) did not stop within {patience_s:.0f} s; killed")
            self._signal(signal.SIGKILL)
            await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            assert self._process is not None
            self._process.send_signal(number)


def said(status: int) -> str:
    """`exited with status 2`, or `was killed by SIGKILL`."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
