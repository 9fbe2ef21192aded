"""Gets the clients of other languages, each by its own package manager, into .work; says by name what it cannot get.

It never fails: a client that is missing is a fault of its own row in the matrix, with the reason.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable

from tests.clients import java_program, with_kafkajs
from tests.interop import kafka


def _java() -> None:
    needs("mvn", "apt-get install maven default-jdk-headless")
    kafka.install()
    java_program.prepare()


def needs(program: str, command: str) -> None:
    """FileNotFoundError with the command that installs the program."""
    if not shutil.which(program):
        raise FileNotFoundError(f"{program} is missing: {command}")


def _node() -> None:
    needs("npm", "apt-get install nodejs npm")
    with_kafkajs.install()


STEPS: dict[str, Callable[[], None]] = {"the Java client and tools": _java, "kafkajs": _node}


def main() -> None:
    for name, step in STEPS.items():
        try:
            step()
        except (OSError, subprocess.SubprocessError) as error:
            print(f"not prepared, {name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
