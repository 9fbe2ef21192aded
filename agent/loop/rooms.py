"""The parts that watch and change one cluster, made and wired to each other. Nothing runs yet when this returns."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from opentelemetry.trace import Tracer

from agent.act.executor import Executor
from agent.act.guard import ActSettings
from agent.billing.bill import Bill
from agent.billing.errors import BillError, LedgerError, PriceError
from agent.billing.ledger import Ledger, cluster_of
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
from agent.loop.cluster_config import ClusterConfig
from agent.loop.config import AgentConfig
from agent.loop.discovery_config import finder_of
from agent.loop.house import House
from agent.loop.patience import ImpatientClock
from agent.loop.refused import Refused
from agent.loop.words import Words
from agent.model.clock import Clock
from agent.model.finding import Risk
from agent.model.resource import encode
from agent.model.ward import Ward
from agent.store.samples import SampleStore
from agent.store.state import State
from rules.catalogue import Catalogue

MOST_SPREAD_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Way:
    """How one cluster is reached: a client to look with and one to act with, so that a slow look holds up no step."""

    watched: ClusterConfig
    cluster: str
    """The name in resource ids: the configured one, else Kafka's own cluster id."""
    looking: ClusterAdmin
    acting: ClusterAdmin


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """What the part of an agent that is about one cluster works with."""

    house: House
    ward: Ward
    patience: ImpatientClock
    looking: ClusterAdmin
    """The collector's."""
    admin: ClusterAdmin
    """For acting."""
    collector: Collector
    source: StoreSource
    diagnosis: Diagnosis
    executor: Executor
    bill: Bill | None
    meter: Meter
    ledger: Ledger
    judging: threading.Lock = field(default_factory=threading.Lock)
    """The diagnosis takes one caller at a time."""

    @property
    def cluster(self) -> str:
        return self.ward.cluster

    @property
    def config(self) -> AgentConfig:
        return self.house.config

    @property
    def clock(self) -> Clock:
        return self.house.clock

    @property
    def state(self) -> State:
        return self.house.state

    @property
    def store(self) -> SampleStore:
        return self.house.store

    @property
    def catalogue(self) -> Catalogue:
        return self.house.catalogue

    @property
    def words(self) -> Words:
        return self.house.words

    @property
    def tracer(self) -> Tracer:
        return self.house.tracer

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

    def close(self) -> None:
        """Closes what holds files and sockets, and leaves the house open."""
        self.collector.close()
        if self.bill is not None:
            self.bill.close()
        self.ledger.close()
        self.admin.close()


def way_to(watched: ClusterConfig, clock: Clock, *, reach: bool) -> Way:
    """Clients for a cluster; `reach`: it must answer now, which also tells its name where none is configured."""
    try:
        acting = ClusterAdmin(watched.bootstrap_servers, watched.command_config, clock=clock)
        cluster = watched.name
        if reach:
            cluster = cluster or acting.topology().cluster_id or "cluster"
            if watched.name:
                acting.topology()
        looking = ClusterAdmin(watched.bootstrap_servers, watched.command_config, clock=clock)
    except CollectError as error:
        raise Refused(str(error)) from error
    return Way(watched=watched, cluster=cluster, looking=looking, acting=acting)


def make_rooms(house: House, way: Way, ward: Ward) -> Rooms:
    """The rooms of one cluster; Refused says which file would not open, or what in the configuration does not fit."""
    config, watched, clock = house.config, way.watched, house.clock
    patience = ImpatientClock(clock)
    bill = _bill(config, watched, ward, clock)
    ledger = _ledger(config, ward)
    meter = Meter(_prices(watched), bill, ledger)
    source = StoreSource(
        house.store,
        ward.cluster,
        interval_s=config.scrape_interval_s,
        brokers={target.url: target.broker for target in watched.metrics if target.broker},
        kind=watched.kind or None,
        cores=watched.cores,
        instance_type=watched.instance_type or None,
        money=meter,
        zones=Zones(watched.zones),
    )
    diagnosis = Diagnosis(
        house.catalogue,
        source,
        house.state,
        clock,
        config.time_scale,
        config.overrides,
        ward=ward,
        mutes=config.mutes,
        maintenances=config.maintenance,
    )
    return Rooms(
        house=house,
        ward=ward,
        patience=patience,
        looking=way.looking,
        admin=way.acting,
        collector=_collector(house, way, ward, source),
        source=source,
        diagnosis=diagnosis,
        executor=Executor(way.acting, house.state, patience, act_settings(config), ward=ward),
        bill=bill,
        meter=meter,
        ledger=ledger,
    )


def _collector(house: House, way: Way, ward: Ward, source: StoreSource) -> Collector:
    config, watched = house.config, way.watched
    watch = Watch(
        cluster=ward.cluster,
        targets=tuple(Target(url=target.url, broker=target.broker) for target in watched.metrics),
        interval_s=config.scrape_interval_s,
        timeout_s=config.scrape_timeout_s,
        spread_s=_spread_s(config, watched),
    )
    return Collector(
        watch,
        house.store,
        way.looking,
        clock=house.clock,
        tracer=house.tracer,
        finders=[finder_of(each, os.environ) for each in watched.discovery],
        assign=source.assign,
    )


def _spread_s(config: AgentConfig, watched: ClusterConfig) -> float:
    several = len(watched.metrics) > 1 or watched.discovery
    return min(MOST_SPREAD_S, 0.1 * config.scrape_interval_s) if several else 0.0


def _bill(config: AgentConfig, watched: ClusterConfig, ward: Ward, clock: Clock) -> Bill | None:
    """Files are read once here; Refused names the file and what in it does not fit."""
    if watched.bill is None:
        return None
    try:
        return open_bill(
            kind=watched.bill.kind,
            url=watched.bill.url,
            scope=Scope(account=watched.bill.account, tags=watched.bill.tags),
            cache=(_own_dir(config, ward) if ward.others else config.dir) / "bill-cache",
            clock=clock,
            environment=os.environ,
        )
    except BillError as error:
        raise Refused(str(error), "correct the file, or leave --bill out") from error


def _ledger(config: AgentConfig, ward: Ward) -> Ledger:
    """What was metered, kept for when the bill comes."""
    try:
        return Ledger(meter_file(config, ward))
    except LedgerError as error:
        raise Refused(str(error), "check --dir") from error


def meter_file(config: AgentConfig, ward: Ward) -> Path:
    """`DIR/meter.sqlite` of an agent with one cluster, which stays that cluster's when others come beside it."""
    first, own = config.dir / "meter.sqlite", _own_dir(config, ward) / "meter.sqlite"
    if own.exists():
        return own
    return own if ward.others and cluster_of(first) != ward.cluster else first


def _own_dir(config: AgentConfig, ward: Ward) -> Path:
    return config.dir / "clusters" / encode(ward.cluster)


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
        stall_timeout_s=config.stall_timeout_s,
        read_only=config.mode == "read-only",
        stop_file=config.dir / "STOP",
        max_moves=checked.cap(config.caps, "max_moves", 50),
        max_plans_per_hour=checked.cap(config.caps, "max_plans_per_hour", 10),
    )
