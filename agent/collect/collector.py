"""One round: every metrics target and the admin API at once, and everything seen committed in one transaction.

Laws:
1. A round's rows all carry the instant it started. What did not answer in time is a gap (`up` false, with the reason)
   and never a repeated or invented sample; the other targets lose nothing.
2. Structure is stored whole when it changed, and once an hour so that every hour can be read alone.
3. Configs are read every `config_every_s`; everything else every round.
4. Targets start within `spread_s` of the round, each always with the same delay, so that not all answer at once.
5. A series that ended gets a stale marker, in a later round where this one could not be stored.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar
from zlib import crc32

import httpx
import numpy as np
from numpy.typing import NDArray
from opentelemetry.trace import NoOpTracer, Tracer

from agent.collect import snapshot
from agent.collect.changes import Event, config_events, event_columns, group_events, topology_events
from agent.collect.discovery.cluster import HTTP_CONFIG
from agent.collect.discovery.discovery import Discovery
from agent.collect.discovery.finder import Finder, Told
from agent.collect.exposition import Room
from agent.collect.lines import Limits
from agent.collect.notices import Notices
from agent.collect.offsets import OffsetHistory
from agent.collect.otlp import TARGET as OTLP
from agent.collect.pushed import Brought, Pushed
from agent.collect.readings import admin_readings, restarts
from agent.collect.remembered import remembered
from agent.collect.scrape import Scrape, Scraper, Target
from agent.collect.security import checks
from agent.collect.shapes import Group, Inventory, Topology
from agent.collect.snapshot import ADMIN, AdminLook, AdminReader, Configs
from agent.model.clock import Clock
from agent.store.batch import Batch, Columns, objects, texts
from agent.store.samples import SampleStore

Seen = TypeVar("Seen", AdminLook, Scrape)

MOST_ANNOUNCED = 1_000
MOST_AT_ONCE = 32
"""Targets that are scraped side by side."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What to watch and how often."""

    cluster: str
    targets: tuple[Target, ...] = ()
    interval_s: float = 5.0
    config_every_s: float = 30.0
    timeout_s: float = 4.0
    """For one target; below the interval, so that a round ends before the next."""
    limits: Limits = field(default_factory=Limits)
    spread_s: float = 0.0
    """Within which the targets' scrapes start."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round brought."""

    at: datetime
    samples: int
    stored: bool
    down: Mapping[str, str]
    """Target to reason."""
    events: tuple[Event, ...]


@dataclass
class _Memory:
    """What the last round knew, to see what changed."""

    topology: Topology | None = None
    groups: Mapping[str, Group] | None = None
    configs: Configs | None = None
    inventory: Inventory | None = None
    hour: str = ""
    configs_at: float | None = None


class Collector:
    """Looks at one cluster, round by round; rounds do not overlap."""

    def __init__(
        self,
        watch: Watch,
        store: SampleStore,
        admin: AdminReader | None,
        *,
        clock: Clock,
        tracer: Tracer | None = None,
        finders: Sequence[Finder] = (),
        assign: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        """`finders` name more targets than `watch`; `assign` is told which broker each is of, where that is known."""
        self._tracer = tracer or NoOpTracer()
        self.watch = watch
        self._store = store
        self._admin = admin
        self._clock = clock
        self._memory = _Memory()
        self._history: OffsetHistory | None = None
        self._room = Room()
        self._discovery = Discovery(watch.targets, finders, clock=clock)
        self._assign = assign
        self.scrapers = [self._scraper(target) for target in watch.targets]
        self._gone: list[NDArray[np.int32]] = []
        """What targets told that are scraped no more."""
        self.pushed = Pushed(store, watch.cluster, clock=clock)
        """What others send, for the next round."""
        self._tidying: Future[None] | None = None
        self._owed = np.empty(0, dtype=np.int32)
        """Series that ended in rounds that could not be stored."""
        self._http = httpx.Client(timeout=watch.timeout_s, limits=httpx.Limits(max_connections=MOST_AT_ONCE))
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE + 2, thread_name_prefix="collect")
        self._began: dict[str, float] = {}
        self._announced: list[Event] = []
        self._notices = Notices(store, watch.cluster)
        self._announcing = threading.Lock()

    def round(self, at: datetime | None = None) -> Round:
        """Looks once at everything and stores it under `at` (now); blocks until the slowest answered or gave up."""
        at = at or self._clock.now()
        self._find_targets()
        looking = self._submit(lambda: self._look(self._configs_due()), "admin", "")
        scraping = [self._submit(partial(self._scrape, one), "scrape", one.target.url) for one in self.scrapers]
        looked, scrapes = looking.result(), [scrape.result() for scrape in scraping]
        return self._keep(at, looked, scrapes, self.pushed.bring())

    @property
    def cluster_id(self) -> str:
        """Kafka's own id of the cluster, as it was last seen; empty before that, or where it tells none."""
        topology = self._memory.topology
        return (topology.cluster_id or "") if topology is not None else ""

    def _scraper(self, target: Target) -> Scraper:
        return Scraper(
            target,
            self.watch.cluster,
            self._store,
            clock=self._clock,
            limits=self.watch.limits,
            room=self._room,
            delay_s=self.watch.spread_s * crc32(target.name.encode()) / 2**32,
        )

    def _find_targets(self) -> None:
        """Takes up targets that are new, and lets those go that nobody names any more."""
        wanted = {target.name: target for target in self._discovery.targets(self._told())}
        known = {scraper.target.name: scraper for scraper in self.scrapers}
        if {name: scraper.target for name, scraper in known.items()} == wanted:
            return
        self._gone += [scraper.ends() for name, scraper in known.items() if name not in wanted]
        self.scrapers = [
            known[name] if name in known and known[name].target == target else self._scraper(target)
            for name, target in wanted.items()
        ]
        if self._assign is not None:
            self._assign({target.url: target.broker for target in wanted.values() if target.broker})

    def _told(self) -> Told:
        topology, configs = self._memory.topology, self._memory.configs or {}
        http = {
            owner: found[HTTP_CONFIG].value or ""
            for (scope, owner), found in configs.items()
            if scope == "broker" and HTTP_CONFIG in found
        }
        return Told(brokers=topology.brokers if topology is not None else (), http=http)

    def _scrape(self, scraper: Scraper) -> Scrape:
        return scraper.scrape(self._http, self.watch.timeout_s)

    def _submit(self, work: Callable[[], Seen], name: str, url: str) -> Future[Seen]:
        """Begins work in the pool, with a span of its own under the caller's."""

        def traced() -> Seen:
            with self._tracer.start_as_current_span(name, attributes={"url": url} if url else None) as span:
                seen = work()
                span.set_attribute("reason", seen.reason)
                return seen

        return self._pool.submit(contextvars.copy_context().run, traced)

    def announce(self, event: Event) -> None:
        """An event that was told and not seen; the next round stores it. From any thread; the oldest go first."""
        with self._announcing:
            self._announced = [*self._announced[-MOST_ANNOUNCED + 1 :], event]

    def maintain(self, at: datetime) -> None:
        """Begins to roll closed hours off and to forget old ones, unless that still goes on; for once a minute."""
        if self._tidying is None or self._tidying.done():
            self._tidying = self._pool.submit(self._store.maintain, at)

    def close(self) -> None:
        self._discovery.close()
        self._pool.shutdown()
        self._http.close()
        if self._admin is not None:
            self._admin.close()

    def _configs_due(self) -> bool:
        last = self._memory.configs_at
        return last is None or self._clock.monotonic() - last >= self.watch.config_every_s

    def _look(self, with_configs: bool) -> AdminLook:
        if self._admin is None:
            return AdminLook(reason="no bootstrap server given")
        began = self._clock.monotonic()
        looked = snapshot.look(self._admin, with_configs=with_configs)
        if looked.configs:
            self._memory.configs_at = self._clock.monotonic()
        return AdminLook(**{**vars(looked), "took_s": self._clock.monotonic() - began})

    def _keep(self, at: datetime, looked: AdminLook, scrapes: list[Scrape], pushed: Brought) -> Round:
        cluster = self.watch.cluster
        if self._history is None:
            self._history = remembered(self._store, cluster, at)
        readings = admin_readings(self._store, cluster, at, looked, self._history)
        told = [part for scrape in scrapes for part in (scrape.about, scrape.scraped) if part is not None]
        told.append(pushed.scraped)
        series = np.concatenate([readings[0], *(part.series for part in told)])
        values = np.concatenate([readings[1], *(part.values for part in told)])
        gone, self._gone = self._gone, []
        ended = self._ended(series, [pushed.ended, *gone, *(scrape.ended for scrape in scrapes)])
        with self._announcing:
            announced, self._announced = self._announced, []
        events = (
            announced + self._events(looked) + restarts(cluster, scrapes, self._store, self._began, self._brokers())
        )
        events += self._notices.events(at, zip(self.scrapers, scrapes, strict=True))
        tables = self._structure(at, looked)
        tables["targets"] = self._targets(looked, scrapes, pushed)
        tables["events"] = event_columns(cluster, events)
        batch = Batch(at=at, series=series, values=values, tables=tables, ended=ended)
        stored = self._store.write(batch)
        self._owed = self._owed[:0] if stored else ended
        self._remember(at, looked, stored)
        down = {scrape.target.name: scrape.reason for scrape in scrapes if scrape.scraped is None}
        down |= {f"discovery/{name}": reason for name, reason in self._discovery.reasons.items()}
        if looked.topology is None and self._admin is not None:
            down[ADMIN] = looked.reason
        return Round(at=at, samples=batch.rows, stored=stored, down=down, events=tuple(events))

    def _ended(self, series: NDArray[np.int32], gone: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        ended = np.concatenate([self._owed, *gone])
        return np.setdiff1d(ended, series) if len(ended) else ended

    def _brokers(self) -> dict[str, str]:
        return {scraper.target.name: scraper.broker for scraper in self.scrapers if scraper.broker is not None}

    def _events(self, looked: AdminLook) -> list[Event]:
        memory, events = self._memory, []
        if memory.topology is not None and looked.topology is not None and memory.topology != looked.topology:
            events += topology_events(self.watch.cluster, memory.topology, looked.topology)
        if memory.groups is not None and looked.groups is not None and memory.groups != looked.groups:
            events += group_events(self.watch.cluster, memory.groups, looked.groups)
        if memory.configs is not None and looked.configs is not None and memory.configs != looked.configs:
            events += config_events(self.watch.cluster, memory.configs, looked.configs)
        return events

    def _structure(self, at: datetime, looked: AdminLook) -> dict[str, Columns]:
        """The kinds that changed, or all of them in a new hour."""
        cluster, memory = self.watch.cluster, self._memory
        new_hour = memory.hour != f"{at:%Y%m%d%H}"
        topology = looked.topology or (memory.topology if new_hour else None)
        groups = looked.groups if looked.groups is not None else (memory.groups if new_hour else None)
        configs = looked.configs or (memory.configs if new_hour else None)
        tables: dict[str, Columns] = {}
        if topology is not None and (new_hour or topology != memory.topology):
            tables["nodes"] = snapshot.or_empty(snapshot.node_columns(cluster, topology), cluster)
            tables["partitions"] = snapshot.or_empty(snapshot.partition_columns(cluster, topology), cluster)
        if groups is not None and (new_hour or groups != memory.groups):
            tables["groups"] = snapshot.or_empty(snapshot.group_columns(cluster, groups), cluster)
            tables["members"] = snapshot.or_empty(snapshot.member_columns(cluster, groups), cluster)
        if configs is not None and (new_hour or configs != memory.configs):
            tables["configs"] = snapshot.or_empty(snapshot.config_columns(cluster, configs), cluster)
        inventory = looked.inventory or (memory.inventory if new_hour else None)
        if inventory is not None and (new_hour or inventory != memory.inventory):
            brokers = {owner: found for (scope, owner), found in (configs or {}).items() if scope == "broker"}
            rows = checks(cluster, brokers, inventory)
            tables["security"] = snapshot.or_empty(snapshot.security_columns(cluster, rows), cluster)
            dirs = snapshot.log_dir_columns(cluster, inventory.log_dirs)
            tables["log_dirs"] = snapshot.or_empty(dirs, cluster)
        return tables

    def _targets(self, looked: AdminLook, scrapes: list[Scrape], pushed: Brought) -> Columns:
        rows: list[tuple[str, bool, str | None, float | None, int | None]] = [
            (
                scrape.target.name,
                scrape.scraped is not None,
                scrape.reason or None,
                scrape.took_s,
                len(scrape.scraped.series) if scrape.scraped else None,
            )
            for scrape in scrapes
        ]
        rows += [(f"discovery/{name}", False, reason, None, None) for name, reason in self._discovery.reasons.items()]
        if pushed.active:
            rows.append((OTLP, True, None, None, len(pushed.scraped.series)))
        if self._admin is not None:
            rows.append((ADMIN, looked.topology is not None, looked.reason or None, looked.took_s, None))
            rows += [(f"{ADMIN}/{area}", False, reason, None, None) for area, reason in looked.notes.items()]
        names, up, reasons, took, samples = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        return {
            "cluster": texts([self.watch.cluster] * len(rows)),
            "target": texts(list(names)),
            "up": objects(list(up)),
            "reason": texts(list(reasons)),
            "took_s": objects(list(took)),
            "samples": objects(list(samples)),
        }

    def _remember(self, at: datetime, looked: AdminLook, stored: bool) -> None:
        memory = self._memory
        # A round that was not stored leaves the hour open: the next one writes the whole structure again.
        memory.hour = f"{at:%Y%m%d%H}" if stored else ""
        memory.topology = looked.topology or memory.topology
        memory.groups = looked.groups if looked.groups is not None else memory.groups
        memory.configs = looked.configs or memory.configs
        memory.inventory = looked.inventory or memory.inventory
