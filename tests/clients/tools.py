"""`make client-tools`: Apache Kafka's command line tools against three brokers with ACLs, each as its script runs it.

    python -m tests.clients.tools [--tools kafka-topics.sh,...] [--write]

A line per tool as it finishes, a verdict as the last line; exit 0 only when every tool that can, did. `--write` writes
`docs/client-tools.md`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients import java_program
from tests.clients.cells import Ground
from tests.clients.cluster import brokers
from tests.clients.elsewhere import ROOT
from tests.clients.one import in_words

PAGE = ROOT / "docs/client-tools.md"
TOOLS = "org.apache.kafka.tools."
_SECONDS = 60.0
_SHOWN = 300


class ToolError(Exception):
    """It ended with another code than 0."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where tools are run; all of them see the same cluster and topic."""

    ground: Ground
    topic: str = "tools"

    def __call__(self, main_class: str, *arguments: str, given: str = "", at: str = "--bootstrap-server") -> str:
        """What it wrote to stdout. ToolError with its last words when it fails."""
        command = java_program.command(TOOLS + main_class, *([at, self.ground.bootstrap] if at else []), *arguments)
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            said = " ".join((done.stdout + done.stderr).split())
            raise ToolError(f"{' '.join(arguments)} ended with {done.returncode}: {said[-_SHOWN:]}")
        return done.stdout

    def file(self, name: str, text: str) -> str:
        """The path of a new file."""
        path = self.ground.directory / name
        path.write_text(text)
        return str(path)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A script of Apache Kafka's distribution, what is done with it, and what it finds wrong."""

    name: str
    what: str
    run: Callable[[Bench], list[str]]


def wanted(said: str, *parts: str) -> list[str]:
    """A fault for each part that was not said."""
    flat = " ".join(said.split())
    return [f"{part!r} is not in: {flat[:_SHOWN]}" for part in parts if part not in flat]


def page(tools: list[Tool], cannot: dict[str, str]) -> str:
    """`docs/client-tools.md`."""
    return "\n".join([
        "# Apache Kafka's command line tools, and others, against the bundled broker\n",
        f"Written by `make client-tools ARGS=--write`, when each did what is said, with the tools of Apache Kafka"
        f" {java_program.kafka_version()}.\n",
        "| tool | what was done | |",
        "|---|---|---|",
        *(f"| `{tool.name}` | {tool.what} | works |" for tool in tools),
        *(f"| `{name}` | | cannot: {why} |" for name, why in cannot.items()),
        "",
    ])  # fmt: skip


def main() -> int:
    from tests.clients.tools_tried import CANNOT, TRIED

    parser = argparse.ArgumentParser(description="Apache Kafka's command line tools against three brokers")
    parser.add_argument("--tools", default="", help="some of them, comma-separated; those before may be needed")
    parser.add_argument("--write", action="store_true", help="write docs/client-tools.md; needs all tools")
    asked = parser.parse_args()
    names = asked.tools.split(",") if asked.tools else [tool.name for tool in TRIED]
    if asked.write and asked.tools:
        parser.error("--write writes the whole page: leave out --tools")
    if missing := java_program.missing():
        parser.error(missing)
    failed = []
    open_to_us = {"authorizer.class.name": "StandardAuthorizer", "super.users": "User:ANONYMOUS"}
    with tempfile.TemporaryDirectory() as directory, brokers(Path(directory), open_to_us) as cluster:
        bench = Bench(ground=cluster.ground("tools", 1000, _SECONDS))
        for tool in (tool for tool in TRIED if tool.name in names):
            try:
                faults = tool.run(bench)
            except (ToolError, subprocess.TimeoutExpired) as error:
                faults = [in_words(error)]
            failed += [tool.name] if faults else []
            print(f"{tool.name}: {'FAULT: ' + '; '.join(faults) if faults else 'works: ' + tool.what}", flush=True)
    for name, why in CANNOT.items():
        print(f"{name}: cannot: {why}")
    if asked.write and not failed:
        PAGE.write_text(page(TRIED, CANNOT))
    print(f"tools: {'FAILED: ' + ', '.join(failed) if failed else f'all {len(names)} work'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
