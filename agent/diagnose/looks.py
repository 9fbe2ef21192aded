"""What each rule has said of each resource, look by look: the memory that makes `3 of 4` mean something.

Only looks that could tell are kept: a look without data is neither a hit nor a miss, so an outage of the metrics
neither opens a risk nor closes one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rules.engine import Verdict
from rules.page import Persist

Key = tuple[str, str]
"""Rule and resource."""

KEPT_LOOKS = 64
GAP_LOOKS = 10
"""After a gap of that many looks, what was seen before says nothing about now."""
GAP_S = 60.0


class Looks:
    """The last looks of every rule at every resource it has seen."""

    def __init__(self) -> None:
        self._looks: dict[Key, deque[tuple[datetime, bool]]] = {}
        self._by_rule: dict[str, set[str]] = {}

    def add(self, rule: str, verdict: Verdict, at: datetime, every_s: float, watched: Iterable[str]) -> None:
        """One evaluation. A resource seen before, or `watched`, that has no row any more is a miss."""
        answers = {row.resource: row.fired for row in verdict.rows}
        seen = self._by_rule.setdefault(rule, set())
        for resource in {*answers, *seen, *watched}:
            answer = answers.get(resource, False)
            if answer is not None:
                self._append((rule, resource), at, answer, every_s)
        seen.update(resource for resource, fired in answers.items() if fired is not None)
        for resource in [*seen - answers.keys() - set(watched)]:
            if not any(fired for _, fired in self._looks.get((rule, resource), ())):
                seen.discard(resource)
                self._looks.pop((rule, resource), None)

    def _append(self, key: Key, at: datetime, fired: bool, every_s: float) -> None:
        looks = self._looks.setdefault(key, deque(maxlen=KEPT_LOOKS))
        if looks and not timedelta() <= at - looks[-1][0] <= timedelta(seconds=GAP_LOOKS * every_s + GAP_S):
            looks.clear()
        looks.append((at, fired))

    def holds(self, key: Key, persist: Persist) -> bool:
        return persist.holds(self._answers(key))

    def cleared(self, key: Key, persist: Persist) -> bool:
        return persist.cleared(self._answers(key))

    def hits(self, key: Key, persist: Persist) -> int:
        """Of the last looks that `persist` counts, how many fired."""
        return sum(self._answers(key)[-persist.of :])

    def suspects(self, rule: str, newer_than: datetime) -> Iterator[str]:
        """Resources at which the rule fired at its last look, where that look is new."""
        for resource in self._by_rule.get(rule, ()):
            looks = self._looks.get((rule, resource))
            if looks and looks[-1][1] and looks[-1][0] >= newer_than:
                yield resource

    def verdict_since(self, key: Key, persist: Persist, since: datetime) -> bool | None:
        """True: false for its `persist` in looks after `since`. False: it fires. None: too few looks to tell."""
        answers = [fired for at, fired in self._looks.get(key, ()) if at >= since]
        if persist.cleared(answers):
            return True
        return False if persist.holds(answers) else None

    def _answers(self, key: Key) -> list[bool]:
        return [fired for _, fired in self._looks.get(key, ())]
