"""The `streampilot` command. stdout is data, stderr is narration; exit codes: 0 ok, 1 findings, 2 could not.

Heavy imports (duckdb, httpx, fastapi, kafka) happen inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The console entry point: every known failure is one line on stderr, and a code."""
    from agent.cli.app import run

    sys.exit(run(sys.argv[1:]))
