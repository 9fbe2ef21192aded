"""The client that the others are checked with: confluent-kafka as installed with this project.

Where a cell runs in another Python, what is asked of it is done in a process of `ground.python`, which is told the name
of a pickled file in the cell's directory, puts its answer beside it, and says a line.
"""

from __future__ import annotations

import atexit
import itertools
import pickle
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.clients.cells import Ground
from tests.clients.records import PARTITIONS, Got, Record

ROOT = Path(__file__).resolve().parents[2]
_DONE = "done\n"
_END_S = 20.0
_numbers = itertools.count()


def create(ground: Ground, topic: str, partitions: int = PARTITIONS, configs: Mapping[str, str] | None = None) -> None:
    """A new topic; the other brokers know it a moment later, as after any client."""
    _ask(ground, "create", topic, partitions, dict(configs or {}))


def write(ground: Ground, topic: str, sent: Sequence[Record], codec: str = "none") -> None:
    """Returns when all are acknowledged."""
    _ask(ground, "write", topic, list(sent), codec)


def read(ground: Ground, topic: str, count: int, *, committed_only: bool = False, more: bool = False) -> list[Got]:
    """From the beginning, until there are `count` or the time is over; `more`: what else comes in a second, too."""
    found: list[Got] = _ask(ground, "read", topic, count, committed_only, more)
    return found


def committed(ground: Ground, group: str, topic: str) -> dict[int, int]:
    """A group's offsets by partition; none for a partition without."""
    found: dict[int, int] = _ask(ground, "committed", group, topic)
    return found


def leaders(ground: Ground, topic: str) -> dict[int, int]:
    """The broker that leads, by partition."""
    found: dict[int, int] = _ask(ground, "leaders", topic)
    return found


def _ask(ground: Ground, what: str, *arguments: Any) -> Any:
    if sys.executable == ground.python:
        from tests.clients import reference_acts

        return getattr(reference_acts, what)(ground, *arguments)
    file = ground.directory / f"reference-{next(_numbers)}"
    file.write_bytes(pickle.dumps((ground, what, arguments)))
    process = _beside(ground.python)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{file}\n")
    process.stdin.flush()
    readable, _, _ = select.select([process.stdout], [], [], 2 * ground.timeout_s)
    said = process.stdout.readline() if readable else "it did not answer\n"
    if said != _DONE:
        raise RuntimeError(f"the reference client, {what}: {said.strip() or 'it ended'}")
    return pickle.loads(file.with_suffix(".answer").read_bytes())


@cache
def _beside(python: str) -> subprocess.Popen[str]:
    """One for all that a cell asks: a start takes longer than most of what is asked. It ends with its stdin."""
    command = [python, "-W", "ignore", "-m", "tests.clients.reference"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdin is not None
    atexit.register(process.wait, _END_S)
    atexit.register(process.stdin.close)
    return process


def main() -> None:
    for line in sys.stdin:
        file = Path(line.rstrip("\n"))
        ground, what, arguments = pickle.loads(file.read_bytes())
        try:
            file.with_suffix(".answer").write_bytes(pickle.dumps(_ask(ground, what, *arguments)))
        except Exception as error:
            print(repr(error).replace("\n", " "), flush=True)
        else:
            print(_DONE, end="", flush=True)


if __name__ == "__main__":
    main()
