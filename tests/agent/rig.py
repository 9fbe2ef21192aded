"""A whole agent over clusters in memory: real state file, real rules, real executor, a hand-wound clock."""

from __future__ import annotations

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
from agent.loop.fleet import Fleet
from agent.loop.house import House
from agent.loop.patience import ImpatientClock
from agent.loop.rooms import Rooms, act_settings, meter_file
from agent.loop.words import Words
from agent.model.clock import HandClock
from agent.model.ward import Ward, wards
from agent.serve.access import Door
from agent.serve.app import make_app
from agent.store.samples import SampleStore
from agent.store.state import State
from rules.cases import StepSource
from rules.page import Step
from tests.agent.act.recording import RecordingCluster
from tests.rules.pages import built_in

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MIB = float(1 << 20)
TOKEN = "spt_rig"
ROUND_S = 10.0


class WatchedCluster(RecordingCluster):
    """Three brokers in three zones, one topic; each partition's load stays with it wherever it moves."""

    calls: dict[str, int] = {}

    def __init__(self, name: str = "c") -> None:
        self.name = name
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
    name = cluster.name

    def about(*names: object) -> dict:
        return {"cluster": name, "resource": "/".join(map(str, (name, *names)))}

    def broker(n: int) -> dict:
        return {**about("broker", n), "broker": str(n)}

    def partition(key: tuple[str, int]) -> dict:
        return {**about("topic", *key), "topic": key[0], "partition": key[1]}

    return {
        "broker": tuple(
            {**broker(n), "kind": "bundled", "zone": f"zone-{'abc'[n]}", "up": True, "cordoned": False, "spot": False}
            for n in cluster.brokers
        ),
        "broker_load": tuple(
            {
                **broker(n),
                "bytes_in_per_s": cluster.broker_load(n),
                "bytes_out_per_s": 1.5 * cluster.broker_load(n),
                "requests_per_s": 100.0,
                "cpu_share": 0.2 + 0.1 * n,
                "leaders": sum(leader == n for leader in cluster.leaders.values()),
            }
            for n in cluster.brokers
        ),
        "partition": tuple(
            {**partition(key), "leader": str(cluster.leaders[key]), "replicas": list(map(str, replicas))}
            for key, replicas in cluster.replicas.items()
        ),
        "partition_load": tuple(
            {**partition(key), "bytes_in_per_s": load, "bytes_out_per_s": load, "basis": "measured"}
            for key, load in cluster.loads.items()
        ),
        "cost": tuple(
            {**about("broker", n), "component": "compute", "for_resource": f"{name}/broker/{n}", "usd_per_hour": 0.1,
             "basis": "meter"}
            for n in cluster.brokers
        ),
        "source": ({**about(), "target": "admin", "up": True},),
        "topic_config": (),
    }  # fmt: skip


class Rig:
    """The agent, its clusters and its clock; `agent` and `cluster` are the first ones."""

    def __init__(self, directory, cluster=None, toml="", tracer=None, clusters=()) -> None:
        self.clock = HandClock(NOW)
        self.clusters = list(clusters) or [cluster or WatchedCluster()]
        self.cluster = self.clusters[0]
        flags = {"bootstrap_servers": "127.0.0.1:1", "dir": str(directory / "agent"), "cluster": self.cluster.name}
        if len(self.clusters) > 1:
            toml += "".join(
                f'[[cluster]]\nname = "{each.name}"\nbootstrap_servers = "127.0.0.1:1"\n' for each in self.clusters
            )
        if toml:
            (directory / "rig.toml").write_text(toml)
        config = load(str(directory / "rig.toml") if toml else "", {}, flags)
        pages = built_in()
        config.dir.mkdir(parents=True, exist_ok=True)
        house = House(
            config=config,
            clock=self.clock,
            catalogue=pages,
            state=State(config.dir / "state.sqlite"),
            store=SampleStore(config.dir, clock=self.clock),
            words=Words(pages, config.llm, self.clock),
            tracer=tracer or NoOpTracer(),
        )
        own = wards([each.name for each in self.clusters])
        self.agents = [Agent(_rooms(house, ward, each)) for ward, each in zip(own, self.clusters, strict=True)]
        self.agent = self.agents[0]
        self.fleet = Fleet(house, self.agents)
        self.app = make_app(self.fleet, Door(token=TOKEN, host="127.0.0.1"))

    async def rounds(self, count: int) -> None:
        """Rounds ten seconds apart, of every cluster."""
        for _ in range(count):
            self.clock.wind(ROUND_S)
            for agent in self.agents:
                await agent.round()
                agent.rounds.completed += 1


def _rooms(house: House, ward: Ward, cluster: WatchedCluster) -> Rooms:
    patience, source = ImpatientClock(house.clock), ClusterSource(cluster)
    ledger = Ledger(meter_file(house.config, ward))
    acting = replace(act_settings(house.config), poll_s=0.01)
    return Rooms(
        house=house,
        ward=ward,
        patience=patience,
        looking=cluster,
        admin=cluster,
        collector=Collector(Watch(cluster=ward.cluster), house.store, None, clock=house.clock, tracer=house.tracer),
        source=source,
        diagnosis=Diagnosis(house.catalogue, source, house.state, house.clock, ward=ward),
        executor=Executor(cluster, house.state, patience, acting, ward=ward),
        bill=None,
        meter=Meter(load_prices(), None, ledger),
        ledger=ledger,
    )
