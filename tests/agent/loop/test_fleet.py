"""Several clusters in one agent: each has its own findings and plans, and none waits for, or acts on, another."""

import asyncio
import threading

import httpx
import pytest

from agent.act.errors import NotAllowed
from agent.act.executor import Executor
from agent.act.journal import Journal
from agent.billing.ledger import Ledger
from agent.diagnose.book import Book
from agent.loop.config import load
from agent.loop.rooms import meter_file
from agent.model.clock import HandClock
from agent.model.ward import Ward, wards
from agent.store.usage import Charge
from tests.agent.rig import NOW, TOKEN, Rig, WatchedCluster

WRITE = {"Authorization": f"Bearer {TOKEN}"}


class Hanging(WatchedCluster):
    """Answers while `well` is set."""

    def __init__(self, name):
        super().__init__(name)
        self.well, self.hangs = threading.Event(), threading.Event()
        self.well.set()

    def broker_load(self, broker):
        if not self.well.is_set():
            self.hangs.set()
            assert self.well.wait(60)
        return super().broker_load(broker)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """One for all tests of this page, which go on where the one above ended."""
    rig = Rig(tmp_path_factory.mktemp("pair"), clusters=[WatchedCluster("east"), Hanging("west")])
    asyncio.run(rig.rounds(6))
    yield rig
    rig.fleet.close()


@pytest.fixture
async def http(pair):
    transport = httpx.ASGITransport(app=pair.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def test_each_cluster_has_its_own_findings_and_plans_and_a_list_without_a_name_has_all(pair, http):
    found = (await http.get("/api/findings")).json()
    told = {(risk["cluster"], risk["resource"]) for risk in found}
    assert told == {("east", "east/broker/0"), ("west", "west/broker/0")}
    for name in ("east", "west"):
        (risk,) = (await http.get("/api/findings", params={"cluster": name})).json()
        (plan,) = (await http.get("/api/plans", params={"cluster": name})).json()
        assert (risk["cluster"], plan["cluster"], plan["risks"]) == (name, name, [risk["id"]])
        assert (await http.get(f"/api/findings/{risk['id']}")).json()["cluster"] == name
        assert {row["cluster"] for row in (await http.get("/api/views/broker", params={"cluster": name})).json()} == {
            name
        }
    assert len((await http.get("/api/plans")).json()) == 2
    assert {row["cluster"] for row in (await http.get("/api/views/broker")).json()} == {"east", "west"}
    assert {silence["cluster"] for silence in (await http.get("/api/silences")).json()} == {"east", "west"}


async def test_what_describes_one_cluster_wants_its_name(pair, http):
    for path in ("/api/overview", "/api/cost"):
        refused = (await http.get(path)).json()["error"]
        assert (refused["number"], refused["next"]) == (
            400,
            "name one with cluster= (on the command line --cluster): east, west",
        )
        assert (await http.get(path, params={"cluster": "west"})).status_code == 200
        assert (await http.get(path, params={"cluster": "north"})).json()["error"]["number"] == 404
    question = {"question": "which broker is hot?"}
    assert (await http.post("/api/ask", json=question)).status_code == 400
    assert (await http.post("/api/ask", json={**question, "cluster": "west"})).json()["checked"]


async def test_the_status_has_each_cluster_under_its_name(pair, http):
    told = (await http.get("/api/status")).json()
    assert told["clusters"] == list(told["each"]) == ["east", "west"]
    assert told["findings"] == 2
    assert told["each"]["west"]["rounds"]["completed"] == 6
    assert (await http.get("/api/status", params={"cluster": "west"})).json()["cluster"] == "west"


async def test_metrics_of_clusters_carry_their_name(pair, http):
    text = (await http.get("/metrics")).text
    assert 'streampilot_findings{cluster="east",level="P1",rule="BAL-01"} 1.0' in text
    assert 'streampilot_agent_rounds_total{cluster="west"} 6.0' in text
    assert "streampilot_agent_samples_total 0.0" in text


async def test_samples_that_are_pushed_are_of_the_cluster_in_the_address(pair, http):
    point = {"timeUnixNano": int(NOW.timestamp() * 1e9), "asDouble": 7.0}
    metrics = [{"name": "queue", "gauge": {"dataPoints": [point]}}]
    body = {"resourceMetrics": [{"resource": {"attributes": []}, "scopeMetrics": [{"metrics": metrics}]}]}
    refused = await http.post("/v1/metrics", json=body, headers=WRITE)
    assert refused.status_code == 400
    assert "--cluster): east, west" in refused.text
    assert (await http.post("/v1/metrics?cluster=west", json=body, headers=WRITE)).status_code == 200
    await pair.rounds(1)
    asked = await http.get("/api/v1/query", params={"query": "queue", "time": pair.clock.now().timestamp()})
    (sample,) = asked.json()["data"]["result"]
    assert sample["metric"]["cluster"] == "west"


async def test_what_was_kept_is_found_again_when_a_second_cluster_comes_and_the_first_one_moves_down(pair):
    """Also a risk as a release with one cluster wrote it; what is of no cluster any more is shown by the first."""
    state, clock = pair.fleet.house.state, pair.clock
    (risk,), (plan, *_) = pair.agents[0].risks(), pair.agents[0].plans()
    body = state.get("risks", risk.id)
    state.put("risks", risk.id, {name: value for name, value in body.items() if name != "cluster"})
    new, east = wards(["new", "east"])
    assert [(known.id, known.cluster) for known in Book(state, east).all()] == [(risk.id, "east")]
    assert Journal(state, clock, east).plan(plan.id) == plan
    assert {known.cluster for known in Book(state, new).all()} == {"west"}
    assert {known.cluster for known in Journal(state, clock, new).plans()} == {"west"}


async def test_a_cluster_that_hangs_holds_up_no_other(pair):
    east, west = pair.agents
    pair.clusters[1].well.clear()
    waiting = asyncio.create_task(west.round())
    await asyncio.to_thread(pair.clusters[1].hangs.wait, 60)
    for _ in range(2):
        pair.clock.wind(10)
        await east.round()
    assert not waiting.done()
    assert east.looked_at == pair.clock.now() > west.looked_at
    assert [risk.cluster for risk in pair.fleet.risks("east")] == ["east"]
    pair.clusters[1].well.set()
    await waiting


async def test_a_plan_never_runs_on_a_cluster_of_another_name(pair):
    """Not even through a part that is shown it: both clusters look alike, so the hash of their state is the same."""
    east, west = pair.clusters
    plan = pair.agents[0].plans()[0]
    approved = pair.agents[0].rooms.executor.approve(plan.id, "token:ann")
    clock, state = HandClock(pair.clock.now()), pair.fleet.house.state
    alone = Executor(west, state, clock, ward=Ward(cluster="west"))
    assert alone.journal.plan(plan.id) == approved
    with pytest.raises(NotAllowed, match="made for the cluster east, this is west"):
        alone.execute(plan.id, dry_run=False)
    beside = Executor(west, state, clock, ward=wards(["east", "west"])[1])
    with pytest.raises(NotAllowed, match="there is no plan"):
        beside.execute(approved, dry_run=False)
    assert alone.resume() == beside.resume() == []
    assert east.effects == west.effects == []


async def test_an_approved_plan_moves_its_own_cluster_only(pair, http):
    east, west = pair.clusters
    (plan,) = (await http.get("/api/plans", params={"cluster": "west"})).json()
    said = await http.post(f"/api/plans/{plan['id']}/approve", json={"by": "ann"}, headers=WRITE)
    assert said.status_code == 202
    for _ in range(600):
        await pair.rounds(1)
        if pair.fleet.of_plan(plan["id"]).plan(plan["id"]).state in {"verified", "failed"}:
            break
        await asyncio.sleep(0.05)
    assert pair.fleet.of_plan(plan["id"]).plan(plan["id"]).state == "verified"
    assert west.effects != []
    assert east.effects == []
    assert [risk.cluster for risk in pair.fleet.risks()] == ["east"]


async def test_a_mute_and_an_announcement_are_of_the_cluster_that_is_named(pair, http):
    mute = {"rule": "BAL-01", "owner": "ann", "reason": "known", "until": "2026-12-01T00:00:00Z", "cluster": "east"}
    assert (await http.post("/api/mutes", json=mute, headers=WRITE)).json()["resource"] == "east"
    told = {"kind": "deploy", "owner": "ann", "resource": "broker/0"}
    assert (await http.post("/api/events", json=told, headers=WRITE)).status_code == 400
    named = await http.post("/api/events", json={**told, "cluster": "west"}, headers=WRITE)
    full = await http.post("/api/events", json={**told, "resource": "east/broker/0"}, headers=WRITE)
    assert [one.json()["resource"] for one in (named, full)] == ["west/broker/0", "east/broker/0"]
    await pair.rounds(1)
    assert pair.fleet.risks("east") == []
    assert [risk.state for risk in pair.fleet.risks("east", every=True)] == ["suppressed"]


def test_the_meter_of_an_only_cluster_stays_its_own_when_others_come(tmp_path):
    config = load("", {}, {"dir": str(tmp_path / "agent")})
    first = config.dir / "meter.sqlite"
    assert meter_file(config, Ward(cluster="a")) == first
    ledger = Ledger(first)
    charge = Charge(component="compute", for_resource="a/broker/0", usd_per_hour=1.0)
    ledger.record(NOW, NOW.replace(minute=5), [charge])
    ledger.close()
    files = {ward.cluster: meter_file(config, ward) for ward in wards(["b", "a"])}
    assert files == {"a": first, "b": config.dir / "clusters" / "b" / "meter.sqlite"}
