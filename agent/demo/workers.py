"""Spawned processes with a pipe: the demo's clients, never forked, stopped with bounded waits."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from agent.demo.errors import DemoError

STOP_S = 45.0


class WorkerDied(DemoError):
    """A client process ended before it was told to, or does not answer."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "see the lines above; run it again with --keep")


def told_to_stop(pipe: Connection[Any, Any], seconds: float) -> bool:
    """In the process: waits `seconds`; True on any message, or when the parent is gone.

    The message is taken out: a pipe closed with something unread in it resets, and its last words are lost.
    """
    if not pipe.poll(seconds):
        return False
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    return True


class Worker:
    """One process running `main(*arguments, pipe)`; ends with the `with` block, whatever happened in it."""

    def __init__(self, name: str, main: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe: Connection[Any, Any]
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(*arguments, theirs), name=f"demo-{name}", daemon=True)
        self._process.start()
        theirs.close()
        self.last: Any = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(5)
        self._pipe.close()

    def latest(self) -> Any:
        """The newest message, or the one before if there is none; WorkerDied if the process is gone."""
        while self._pipe.poll(0):
            self.last = self._receive()
        if not self._process.is_alive() and self._process.exitcode:
            raise WorkerDied(f"the {self.name} ended with exit code {self._process.exitcode}")
        return self.last

    def stop(self) -> list[Any]:
        """Tells it to stop and gives all it still had to say, once it has ended."""
        self._pipe.send("stop")
        return self.rest(STOP_S)

    def rest(self, seconds: float, each: Callable[[Any], None] = lambda message: None) -> list[Any]:
        """All messages until the process ends, each shown to `each`; WorkerDied after `seconds` of silence."""
        messages: list[Any] = []
        while True:
            if not self._pipe.poll(seconds):
                raise WorkerDied(f"the {self.name} did not answer for {seconds:.0f} s")
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                self._process.join(5)
                return messages
            messages.append(message)
            each(message)

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise WorkerDied(f"the {self.name} ended with exit code {self._process.exitcode}") from None
