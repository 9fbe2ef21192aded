"""The targets of one cluster, looked for before each round.

Laws:
1. What is configured comes first and always stays; a URL counts once.
2. A discovery that fails leaves its targets as they were, and its reason stands in `source` as `discovery/NAME`.
3. One that takes its time works beside the rounds; only the first round waits for it, within bounds.
4. At most `MOST_TARGETS` are scraped; what is over is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from functools import partial

from agent.collect.discovery.finder import CannotFind, Finder, Told
from agent.collect.scrape import Target
from agent.model.clock import Clock

MOST_TARGETS = 500
FIRST_S = 10.0
"""For which the first round waits."""


class Discovery:
    """Fixed targets and finders; used by one thread."""

    def __init__(self, fixed: Sequence[Target], finders: Sequence[Finder], *, clock: Clock) -> None:
        self.reasons: dict[str, str] = {}
        """Finder to why it does not answer."""
        self._fixed = tuple(fixed)
        self._finders = tuple(finders)
        self._clock = clock
        self._found: dict[str, list[Target]] = {}
        self._asked_at: dict[str, float] = {}
        self._under_way: dict[str, Future[list[Target]]] = {}
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="discovery") if finders else None

    def targets(self, told: Told) -> tuple[Target, ...]:
        """All targets now."""
        for finder in self._finders:
            if finder.every_s:
                self._look_beside(finder, told)
            else:
                self._keep(finder, partial(finder.find, told))
        named = {target.url: target for found in self._found.values() for target in found}
        every = tuple({**named, **{target.url: target for target in self._fixed}}.values())
        if len(every) > MOST_TARGETS:
            self.reasons["all"] = f"{len(every)} targets were found, {MOST_TARGETS} are scraped"
            return (*self._fixed, *(each for each in every if each not in self._fixed))[:MOST_TARGETS]
        self.reasons.pop("all", None)
        return every

    def _look_beside(self, finder: Finder, told: Told) -> None:
        now, last = self._clock.monotonic(), self._asked_at.get(finder.name)
        running = self._under_way.get(finder.name)
        if running is None and self._pool is not None and (last is None or now - last >= finder.every_s):
            self._asked_at[finder.name] = now
            running = self._under_way[finder.name] = self._pool.submit(finder.find, told)
        if running is not None and (last is None or running.done()):
            self._keep(finder, partial(running.result, FIRST_S))
            if running.done():
                del self._under_way[finder.name]

    def _keep(self, finder: Finder, find: Callable[[], list[Target]]) -> None:
        try:
            self._found[finder.name] = find()
            self.reasons.pop(finder.name, None)
        except CannotFind as error:
            self.reasons[finder.name] = str(error)
        except TooLate:
            self.reasons[finder.name] = f"no answer within {FIRST_S:g} s yet"

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        for finder in self._finders:
            finder.close()
