"""The agent's promises, each broken on purpose: `python -m tests.faults.agent.run [NAME...]`.

kill -9 fifty times, thirty damaged database files, sixty damaged files of closed hours, a full disk, clock jumps, bombs
on `/metrics`, a target that goes away, and a store of the release before. A line each, exit 0 when every one held; what
cannot be done here is skipped and said.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.agent.bomb import bombed, down
from tests.faults.agent.clocks import acted, stepped
from tests.faults.agent.damage import corrupted
from tests.faults.agent.disk import filled
from tests.faults.agent.earlier import upgraded
from tests.faults.agent.files import spoilt
from tests.faults.agent.kill import killed
from tests.faults.agent.verdict import Verdict

FAULTS: Mapping[str, Callable[[Path], Verdict]] = {
    "kill": lambda place: killed(place, 50),
    "corrupt": lambda place: corrupted(place, 30),
    "files": lambda place: spoilt(place, 60),
    "disk": lambda place: filled(place, 5),
    "clocks": lambda place: stepped(place),
    "actions": lambda place: asyncio.run(acted(place)),
    "bomb": lambda place: bombed(place, 5),
    "down": down,
    "upgrade": upgraded,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(FAULTS), metavar="NAME", help=", ".join(FAULTS))
    verdicts = []
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory(prefix="agent-faults-") as place:
            verdicts.append(FAULTS[name](Path(place)))
        print(verdicts[-1], flush=True)
    held = sum(verdict.ok is True for verdict in verdicts)
    missed = sum(verdict.ok is False for verdict in verdicts)
    print(f"{held} held, {missed} did not, {len(verdicts) - held - missed} skipped")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
