"""`broker.main` with a witness: a thread that writes down where the event loop stands whenever it is late.

    python -m tests.bars.stalls --id 0 ...        STALL_MS=10 says what is late (default 15)

A profile shows what costs much in all; this shows what costs much at once, which is what law 14 is about. At the end
the stacks go to stderr, the most frequent first.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import time
import traceback
from collections import Counter

from broker import main as broker_main
from broker import node

LATE_S = float(os.environ.get("STALL_MS", "15")) / 1000
EVERY_S = 0.003


class Witness:
    """Looks at the loop's thread from outside."""

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._stacks: Counter[str] = Counter()
        self._loop_thread = threading.get_ident()

    async def tick(self) -> None:
        threading.Thread(target=self._watch, name="witness", daemon=True).start()
        atexit.register(self._tell)
        while True:
            self._seen = time.monotonic()
            await asyncio.sleep(0.005)

    def _watch(self) -> None:
        while True:
            time.sleep(EVERY_S)
            if time.monotonic() - self._seen > LATE_S + 0.005:
                frame = sys._current_frames().get(self._loop_thread)
                if frame is not None:
                    lines = traceback.format_stack(frame)[-5:]
                    self._stacks[" < ".join(_short(line) for line in reversed(lines))] += 1

    def _tell(self) -> None:
        for stack, count in self._stacks.most_common(20):
            print(f"stall {count:5d} x {EVERY_S * 1000:.0f} ms  {stack}", file=sys.stderr)


def _short(line: str) -> str:
    place = line.strip().splitlines()[0].split(", ")
    return f"{place[0].rpartition('/')[2].rstrip(chr(34))}:{place[1].removeprefix('line ')} {place[2]}"


def main() -> int:
    started = node.Node.start

    async def start(self: node.Node) -> node.Address:
        self._spawn(Witness().tick())
        return await started(self)

    node.Node.start = start  # type: ignore[method-assign]
    return broker_main.main()


if __name__ == "__main__":
    sys.exit(main())
