"""Runs pytest again and again, each time in a fork of one process that has imported the product already: most of what a
run of one test costs is imports. A line of JSON with the arguments comes in, one with the exit code and what was said
goes out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import pytest

LONGEST_S = 250


class Runner:
    """The process, as a test sees it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.laws.runner"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code and what pytest said; killed, and -14, after `LONGEST_S`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(arguments), file=self._process.stdin, flush=True)
        code, said = json.loads(self._process.stdout.readline())
        return code, said

    def close(self) -> None:
        self._process.communicate()


def in_a_fork(arguments: Sequence[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            signal.alarm(LONGEST_S)
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = pytest.main([*arguments])
            sys.stdout.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read().decode(errors="replace")


def main() -> None:
    import_what_all_need()
    for line in sys.stdin:
        print(json.dumps(in_a_fork(json.loads(line))), flush=True)


def import_what_all_need() -> tuple[Any, ...]:
    import asyncpg
    import pytest_asyncio.plugin

    import broker.node
    import tests.laws.plugin

    return asyncpg, pytest_asyncio.plugin, broker.node, tests.laws.plugin


if __name__ == "__main__":
    main()
