"""A whole agent over a cluster in memory: real state file, real rules, real executor, a hand-wound clock."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

from opentelemetry.trace import NoOpTracer

from agent.act.executor import Executor
from agent.billing.ledger import Ledger
from agent.billing.meter import Meter
from agent.billing.pricebook import load_prices
from agent.collect.collector import Collector, Watch
from agent.diagnose.diagnosis import Diagnosis
from agent.loop.agent import Agent
from agent.loop.config import load
from agent.loop.patience import ImpatientClock
from agent.loop.rooms import Rooms, act_settings
from agent.loop.words import Words
from agent.model.clock import HandClock
from agent.serve.access import Door
from agent.serve.app import make_app
from agent.store.samples import SampleStore
from agent.store.state import State
from rules import catalogue
from rules.cases import StepSource
from rules.page import Step
from tests.agent.act.recording import RecordingCluster

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MIB = float(1 << 20)
TOKEN = "spt_rig"
ROUND_S = 10.0


class WatchedCluster(RecordingCluster):
    """Three brokers in three zones, one topic; each partition's load stays with it wherever it moves."""

    calls: dict[str, int] = {}

    def __init__(self) -> None:
        owners = {("orders", n): [0, 1, 2] for n in range(6)}
        owners |= {("orders", n): [1 + n % 2, 0, 3 - (1 + n % 2)] for n in range(6, 10)}
        super().__init__(owners)
        self.loads = dict.fromkeys(owners, 2.0 * MIB)

    def close(self) -> None:
        return

    def broker_load(self, broker: int) -> float:
        return sum(self.loads[key] for key, leader in self.leaders.items() if leader == broker)


class ClusterSource(StepSource):
    """The canonical views of a WatchedCluster, as it is at the moment of asking."""

    def __init__(self, cluster: WatchedCluster) -> None:
        self.cluster = cluster

    @property
    def step(self) -> Step:
        return Step(times=None, views=_views(self.cluster))


def _views(cluster: WatchedCluster) -> dict[str, tuple[dict, ...]]:
    return {
        "broker": tuple(
            {**_broker(n), "kind": "bundled", "zone": f"zone-{'abc'[n]}", "up": True, "cordoned": False, "spot": False}
            for n in cluster.brokers
        ),
        "broker_load": tuple(
            {
                **_broker(n),
                "bytes_in_per_s": cluster.broker_load(n),
                "bytes_out_per_s": 1.5 * cluster.broker_load(n),
                "requests_per_s": 100.0,
                "cpu_share": 0.2 + 0.1 * n,
                "leaders": sum(leader == n for leader in cluster.leaders.values()),
            }
            for n in cluster.brokers
        ),
        "partition": tuple(
            {**_partition(key), "leader": str(cluster.leaders[key]), "replicas": list(map(str, replicas))}
            for key, replicas in cluster.replicas.items()
        ),
        "partition_load": tuple(
            {**_partition(key), "bytes_in_per_s": load, "bytes_out_per_s": load, "basis": "measured"}
            for key, load in cluster.loads.items()
        ),
        "cost": tuple(
            {**_common(f"c/broker/{n}"), "component": "compute", "for_resource": f"c/broker/{n}", "usd_per_hour": 0.1,
             "basis": "meter"}
            for n in cluster.brokers
        ),
        "source": ({**_common("c"), "target": "admin", "up": True},),
        "topic_config": (),
    }  # fmt: skip


def _common(resource: str) -> dict:
    return {"cluster": "c", "resource": resource}


def _broker(n: int) -> dict:
    return {**_common(f"c/broker/{n}"), "broker": str(n)}


def _partition(key: tuple[str, int]) -> dict:
    return {**_common(f"c/topic/{key[0]}/{key[1]}"), "topic": key[0], "partition": key[1]}


class Rig:
    """The agent, its cluster and its clock."""

    def __init__(self, directory, cluster=None, toml="", tracer=None) -> None:
        self.clock = HandClock(NOW)
        self.cluster = cluster or WatchedCluster()
        flags = {"bootstrap_servers": "127.0.0.1:1", "dir": str(directory / "agent"), "cluster": "c"}
        if toml:
            (directory / "rig.toml").write_text(toml)
        config = load(str(directory / "rig.toml") if toml else "", {}, flags)
        state = State(config.dir / "state.sqlite")
        store = SampleStore(config.dir, clock=self.clock)
        ledger = Ledger(config.dir / "meter.sqlite")
        source, pages = ClusterSource(self.cluster), catalogue.load()
        patience = ImpatientClock(self.clock)
        self.agent = Agent(
            Rooms(
                config=config,
                clock=self.clock,
                patience=patience,
                cluster="c",
                state=state,
                store=store,
                looking=self.cluster,
                admin=self.cluster,
                collector=Collector(Watch(cluster="c"), store, None, clock=self.clock, tracer=tracer),
                source=source,
                catalogue=pages,
                diagnosis=Diagnosis(pages, source, state, self.clock),
                executor=Executor(self.cluster, state, patience, replace(act_settings(config), poll_s=0.01)),
                bill=None,
                meter=Meter(load_prices(), None, ledger),
                ledger=ledger,
                words=Words(pages, config.llm, self.clock),
                judging=threading.Lock(),
                tracer=tracer or NoOpTracer(),
            )
        )
        self.app = make_app(self.agent, Door(token=TOKEN, host="127.0.0.1"))

    async def rounds(self, count: int) -> None:
        """Rounds ten seconds apart."""
        for _ in range(count):
            self.clock.wind(ROUND_S)
            await self.agent.round()
            self.agent.rounds.completed += 1
