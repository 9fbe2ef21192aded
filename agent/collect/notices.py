"""Spot notices as events: what brokers show of their machines' end, told when it begins and when it is withdrawn.

A notice is known by its broker, its kind and since when it stands; an agent that was started anew looks into the store
for what it told already. A broker that does not answer withdraws nothing: its machine may just be gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from agent.collect.changes import Event
from agent.collect.scrape import SPOT_DEADLINE, SPOT_NOTICE, Scrape, Scraper
from agent.model.resource import resource_id
from agent.store.batch import instant
from agent.store.errors import StoreError
from agent.store.samples import Labels, SampleStore

KINDS = {"interruption": "spot_notice", "rebalance": "spot_warning"}
"""What a broker calls it, and the event's kind; withdrawn, the event's has `_withdrawn` at its end."""
SOURCE = "metrics"
_TOLD_WITHIN = timedelta(hours=1)
_MOST_SECONDS = 1e11
"""Unix time of the year 5138: what datetime can show."""


@dataclass(frozen=True, kw_only=True)
class _Standing:
    resource: str
    kind: str
    detail: str


class Notices:
    """Of one cluster, over the rounds."""

    def __init__(self, store: SampleStore, cluster: str) -> None:
        self._store, self._cluster = store, cluster
        self._standing: dict[str, set[_Standing]] = {}
        """By target."""

    def events(self, at: datetime, scraped: Iterable[tuple[Scraper, Scrape]]) -> list[Event]:
        """What began and what ended since the last round."""
        found: list[Event] = []
        for scraper, scrape in scraped:
            name = scrape.target.name
            if scrape.scraped is None or not (scraper.notices or self._standing.get(name)):
                continue
            before, now = self._standing.get(name, set()), self._shown(scraper, scrape)
            found += [_event(each, each.kind) for each in sorted(now - before, key=str) if not self._is_told(at, each)]
            ended = {each for each in before if each.kind not in {other.kind for other in now}}
            found += [_event(each, f"{each.kind}_withdrawn") for each in sorted(ended, key=str)]
            self._standing[name] = now
        return found

    def _shown(self, scraper: Scraper, scrape: Scrape) -> set[_Standing]:
        assert scrape.scraped is not None
        values: dict[tuple[str, Labels], float] = {}
        numbers = np.array(list(scraper.notices), dtype=np.int32)
        for place in np.flatnonzero(np.isin(scrape.scraped.series, numbers)).tolist():
            values[scraper.notices[int(scrape.scraped.series[place])]] = float(scrape.scraped.values[place])
        resource = resource_id(self._cluster, "broker", scraper.broker or scrape.target.name)
        return {
            _Standing(resource=resource, kind=KINDS[kind], detail=_detail(labels, since, values))
            for (name, labels), since in values.items()
            if name == SPOT_NOTICE and (kind := dict(labels).get("kind", "")) in KINDS
        }

    def _is_told(self, at: datetime, notice: _Standing) -> bool:
        """Whether the store has this event; False where it cannot say, since a notice told twice is no harm."""
        since = at - _TOLD_WITHIN
        try:
            rows = self._store.query(
                f"SELECT 1 AS found FROM {self._store.relation('events', since, at)} WHERE cluster = $cluster "
                "AND resource = $resource AND kind = $kind AND detail = $detail "
                "AND ts > timezone('UTC', $since::TIMESTAMP) LIMIT 1",
                {"cluster": self._cluster, **vars(notice), "since": str(instant(since))},
            )
        except StoreError:
            return False
        return len(rows["found"]) > 0


def _detail(labels: Labels, since: float, values: dict[tuple[str, Labels], float]) -> str:
    """`aws: terminate, told 2026-11-27T21:00:00Z, gone by 2026-11-27T21:02:00Z`"""
    named = dict(labels)
    said = [f"{named.get('source', '')}: {named.get('detail', '')}".rstrip(": "), f"told {_time(since)}"]
    by = values.get((SPOT_DEADLINE, labels))
    return ", ".join(said if by is None else [*said, f"gone by {_time(by)}"])


def _time(seconds: float) -> str:
    """Whole seconds; a number that is no time is shown as it is."""
    if not 0 <= seconds < _MOST_SECONDS:
        return f"{seconds:g}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _event(notice: _Standing, kind: str) -> Event:
    return Event(resource=notice.resource, kind=kind, source=SOURCE, detail=notice.detail)


def of_machines(events: Sequence[Event]) -> list[Event]:
    """Those that somebody wants to hear at once."""
    return [event for event in events if event.kind.startswith(tuple(KINDS.values())) and event.source == SOURCE]
