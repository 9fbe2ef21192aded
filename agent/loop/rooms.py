"""The parts of one agent, made from its configuration and wired to each other. Nothing runs yet when this returns."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opentelemetry.trace import NoOpTracer, Tracer

from agent.act.executor import Executor
from agent.act.guard import ActSettings
from agent.billing.bill import Bill
from agent.billing.errors import BillError, LedgerError, PriceError
from agent.billing.ledger import Ledger
from agent.billing.meter import Meter
from agent.billing.opening import open_bill
from agent.billing.pricebook import PriceBook, book_of
from agent.billing.scope import Scope
from agent.collect.admin import ClusterAdmin
from agent.collect.collector import Collector, Watch
from agent.collect.errors import CollectError
from agent.collect.scrape import Target
from agent.collect.views import StoreSource
from agent.collect.zones import Zones
from agent.diagnose.diagnosis import Diagnosis, Round
from agent.loop import checked
from agent.loop.config import AgentConfig, ClusterConfig
from agent.loop.discovery_config import finder_of
from agent.loop.patience import ImpatientClock
from agent.loop.refused import Refused
from agent.loop.words import Words
from agent.model.clock import Clock
from agent.model.finding import Risk
from agent.store.bucket import Bucket
from agent.store.errors import StateError, StoreError
from agent.store.samples import SampleStore
from agent.store.shelf import Keep
from agent.store.state import State
from rules.catalogue import Catalogue
from rules.catalogue import load as load_pages
from rules.errors import RuleError

MOST_SPREAD_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """What an agent works with."""

    config: AgentConfig
    clock: Clock
    patience: ImpatientClock
    cluster: str
    """The name in resource ids: the configured one, else Kafka's own cluster id."""
    state: State
    store: SampleStore
    looking: ClusterAdmin
    """The collector's."""
    admin: ClusterAdmin
    """For acting; the collector has one of its own, so that a slow look never holds up a step."""
    collector: Collector
    source: StoreSource
    catalogue: Catalogue
    diagnosis: Diagnosis
    executor: Executor
    bill: Bill | None
    meter: Meter
    ledger: Ledger
    words: Words
    judging: threading.Lock
    """The diagnosis takes one caller at a time."""
    tracer: Tracer = field(default_factory=NoOpTracer)

    def judge(self, at: datetime) -> tuple[Round, list[Risk]]:
        """One round of rules, and every risk remembered after it."""
        with self.judging:
            return self.diagnosis.round(at), self.diagnosis.risks()

    def confirm(self, risk_id: str, since: datetime) -> bool | None:
        """Whether a risk is gone on samples newer than `since`; None while that cannot be said."""
        with self.judging:
            for risk in self.diagnosis.risks():
                if risk.id == risk_id:
                    return self.diagnosis.confirm(risk, since)
        return None

    def suspected(self, rule: str, at: datetime) -> tuple[str, ...]:
        """Where a rule fires, persisted or not."""
        with self.judging:
            return self.diagnosis.suspected(rule, at)

    def rules(self) -> list[dict[str, Any]]:
        """The catalogue in force, a line each."""
        return [
            {
                "id": page.id,
                "title": page.title,
                "level": page.level,
                "scope": page.scope,
                "action": page.action,
                "thresholds": page.bind(self.config.overrides.get(page.id)),
            }
            for page in self.catalogue
        ]

    def close(self) -> None:
        """Closes what holds files and sockets."""
        self.collector.close()
        if self.bill is not None:
            self.bill.close()
        self.ledger.close()
        self.admin.close()
        self.store.close()
        self.state.close()


def make_rooms(config: AgentConfig, clock: Clock, tracer: Tracer | None = None) -> Rooms:
    """Opens the stores and reaches the cluster once, to know its name; Refused says which of them would not."""
    watched = config.clusters[0]
    if len(config.clusters) > 1:
        raise Refused(
            f"{len(config.clusters)} clusters are configured", "start one agent for each, each with its --dir"
        )
    try:
        catalogue = load_pages(config.rule_paths, disabled=config.rules_disabled, overrides=config.overrides)
        for row in (*config.mutes, *config.maintenance):
            rule = str(row.get("rule", ""))
            if rule and not set(rule) & set("*?[") and rule not in config.rules_disabled:
                catalogue.get(rule)
    except RuleError as error:
        raise Refused(str(error), "streampilot rules test runs its cases") from error
    try:
        admin = ClusterAdmin(watched.bootstrap_servers, watched.command_config, clock=clock)
        cluster = watched.name or admin.topology().cluster_id or "cluster"
        if watched.name:
            admin.topology()
        looking = ClusterAdmin(watched.bootstrap_servers, watched.command_config, clock=clock)
    except CollectError as error:
        raise Refused(str(error)) from error
    try:
        config.dir.mkdir(parents=True, exist_ok=True)
        state = State(config.dir / "state.sqlite")
        store = _samples(config, clock)
    except (StateError, StoreError, OSError) as error:
        raise Refused(str(error), "check --dir, and that no other agent uses it") from error
    return _wire(config, watched, cluster, clock, catalogue, state, store, admin, looking, tracer or NoOpTracer())


def _wire(
    config: AgentConfig,
    watched: ClusterConfig,
    cluster: str,
    clock: Clock,
    catalogue: Catalogue,
    state: State,
    store: SampleStore,
    admin: ClusterAdmin,
    looking: ClusterAdmin,
    tracer: Tracer,
) -> Rooms:
    patience = ImpatientClock(clock)
    bill = _bill(config, watched, clock)
    ledger = _ledger(config)
    meter = Meter(_prices(watched), bill, ledger)
    source = StoreSource(
        store,
        cluster,
        interval_s=config.scrape_interval_s,
        brokers={target.url: target.broker for target in watched.metrics if target.broker},
        kind=watched.kind or None,
        cores=watched.cores,
        instance_type=watched.instance_type or None,
        money=meter,
        zones=Zones(watched.zones),
    )
    watch = Watch(
        cluster=cluster,
        targets=tuple(Target(url=target.url, broker=target.broker) for target in watched.metrics),
        interval_s=config.scrape_interval_s,
        timeout_s=config.scrape_timeout_s,
        spread_s=_spread_s(config, watched),
    )
    finders = [finder_of(each, os.environ) for each in watched.discovery]
    diagnosis = Diagnosis(
        catalogue,
        source,
        state,
        clock,
        config.time_scale,
        config.overrides,
        mutes=config.mutes,
        maintenances=config.maintenance,
    )
    return Rooms(
        config=config,
        clock=clock,
        patience=patience,
        cluster=cluster,
        state=state,
        store=store,
        looking=looking,
        admin=admin,
        collector=Collector(
            watch,
            store,
            looking,
            clock=clock,
            tracer=tracer,
            finders=finders,
            assign=source.assign,
        ),
        source=source,
        catalogue=catalogue,
        diagnosis=diagnosis,
        executor=Executor(admin, state, patience, act_settings(config)),
        bill=bill,
        meter=meter,
        ledger=ledger,
        words=Words(catalogue, config.llm, clock, os.environ.get(config.llm.key_env, "none")),
        judging=threading.Lock(),
        tracer=tracer,
    )


def _spread_s(config: AgentConfig, watched: ClusterConfig) -> float:
    several = len(watched.metrics) > 1 or watched.discovery
    return min(MOST_SPREAD_S, 0.1 * config.scrape_interval_s) if several else 0.0


def _samples(config: AgentConfig, clock: Clock) -> SampleStore:
    try:
        bucket = Bucket(config.roll_off) if config.roll_off else None
    except ValueError as error:
        raise Refused(f"agent.roll_off: {error}", "correct the address and the credentials") from error
    return SampleStore(
        config.dir,
        clock=clock,
        memory_limit=f"{config.memory_limit_bytes}B",
        keep=Keep(
            hours=max(1, math.ceil(config.retention_raw_s / 3600)),
            days=max(1, math.ceil(config.retention_rollup_s / 86400)),
            bytes=config.max_disk_bytes,
        ),
        bucket=bucket,
    )


def _bill(config: AgentConfig, watched: ClusterConfig, clock: Clock) -> Bill | None:
    """Files are read once here; Refused names the file and what in it does not fit."""
    if watched.bill is None:
        return None
    try:
        return open_bill(
            kind=watched.bill.kind,
            url=watched.bill.url,
            scope=Scope(account=watched.bill.account, tags=watched.bill.tags),
            cache=config.dir / "bill-cache",
            clock=clock,
            environment=os.environ,
        )
    except BillError as error:
        raise Refused(str(error), "correct the file, or leave --bill out") from error


def _ledger(config: AgentConfig) -> Ledger:
    """What was metered, kept for when the bill comes."""
    try:
        return Ledger(config.dir / "meter.sqlite")
    except LedgerError as error:
        raise Refused(str(error), "check --dir") from error


def _prices(watched: ClusterConfig) -> PriceBook:
    try:
        return book_of(watched.prices)
    except PriceError as error:
        raise Refused(str(error), "correct `prices` of that [[cluster]]") from error


def act_settings(config: AgentConfig) -> ActSettings:
    """`[act]` as the executor's bounds; Refused names a cap that does not exist."""
    known = {"max_moves", "max_plans_per_hour"}
    if unknown := set(config.caps) - known:
        raise Refused(f"unknown cap act.caps.{sorted(unknown)[0]}", f"the caps are {', '.join(sorted(known))}")
    return ActSettings(
        allow=frozenset(config.allow),
        second_person=config.second_person,
        read_only=config.mode == "read-only",
        stop_file=config.dir / "STOP",
        max_moves=checked.cap(config.caps, "max_moves", 50),
        max_plans_per_hour=checked.cap(config.caps, "max_plans_per_hour", 10),
    )
