"""Python's cycle collector, kept from stopping the loop (law 14).

A full collection walks every container of the process: at 10,000 partitions that is 40 to 130 ms in which no thread
runs, and Python asks for one whenever a quarter is new. So what has survived a full collection is frozen: set aside,
never walked again, and still freed at once when its last reference goes. Each full collection then walks only what came
since the last one, some 30,000 objects, in 2 or 3 ms.

What it costs: a cycle that was alive when it was frozen and dies later stays. The broker's own lasting parts die
without the collector's help (a test holds connections and logs to that), so these are few; and when the process holds
far more than it did, everything is thawed and walked once, long as it takes, so that they are bounded (law 12).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from typing import Any

OLDEST = 2
THRESHOLDS = (700, 10, 3)
"""Python's own for the young; the oldest generation sooner, since it never holds much."""
SPARE_BLOCKS = 1_000_000
"""Of memory, of about 100 bytes: more than this beyond twice of what was held is worth one long look."""


class Rubbish:
    """From `begin` on; `end` gives the collector back as it was."""

    def __init__(self, blocks: Callable[[], int] = sys.getallocatedblocks) -> None:
        self._blocks = blocks
        self._bound = 0
        self._thawed = False
        self._before = gc.get_threshold()

    def begin(self) -> None:
        """Collects and freezes what there is: do it before anybody waits."""
        gc.collect()
        gc.freeze()
        self._bound = self._next_bound()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(self._collected)

    def end(self) -> None:
        gc.callbacks.remove(self._collected)
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def _collected(self, phase: str, about: Mapping[str, Any]) -> None:
        if phase != "stop" or about["generation"] != OLDEST:
            return
        if self._thawed:
            self._thawed, self._bound = False, self._next_bound()
        if self._blocks() > self._bound:
            gc.unfreeze()
            self._thawed = True  # the next collection walks everything
        else:
            gc.freeze()

    def _next_bound(self) -> int:
        return 2 * self._blocks() + SPARE_BLOCKS
