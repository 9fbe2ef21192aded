"""The client that the others are checked with: confluent-kafka as installed with this project.

Where a cell runs in another Python, what is asked of it is done in a process of `ground.python`: arguments and answer
go through pickled files in the cell's directory.
"""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.clients.cells import Ground
from tests.clients.records import PARTITIONS, Got, Record

ROOT = Path(__file__).resolve().parents[2]
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
    command = [ground.python, "-W", "ignore", "-m", "tests.clients.reference", str(file)]
    done = subprocess.run(command, capture_output=True, timeout=2 * ground.timeout_s, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"the reference client, {what}: {done.stderr.decode(errors='replace')[-400:]}")
    return pickle.loads(file.with_suffix(".answer").read_bytes())


def main() -> None:
    file = Path(sys.argv[1])
    ground, what, arguments = pickle.loads(file.read_bytes())
    file.with_suffix(".answer").write_bytes(pickle.dumps(_ask(ground, what, *arguments)))


if __name__ == "__main__":
    main()
