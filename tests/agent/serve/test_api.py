"""The HTTP API over a whole agent: a hot broker is found, planned, approved, moved, verified and taken back."""

import asyncio
import time

import httpx
import pytest

from tests.agent.rig import TOKEN, Rig

WRITE = {"Authorization": f"Bearer {TOKEN}"}


async def _state_of(http, plan, wanted, rig, patience_s=60.0):
    """Rounds until the plan is in `wanted`; what it was in at last."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = (await http.get(f"/api/plans/{plan}")).json()
        if found["state"] in {wanted, "failed"}:
            return found
        await rig.rounds(1)
    return found


async def _fit_their_schemas(http):
    """Answers have exactly the fields that /openapi.json says."""
    told = (await http.get("/openapi.json")).json()
    shapes = told["components"]["schemas"]

    def answer(path, method="get", number="200"):
        return told["paths"][path][method]["responses"][number]["content"]["application/json"]["schema"]

    for name, reference in (("findings", "Risk"), ("plans", "Plan"), ("silences", "Silence")):
        assert answer(f"/api/{name}")["items"] == {"$ref": f"#/components/schemas/{reference}"}
        (first, *_) = (await http.get(f"/api/{name}")).json()
        assert set(first) == set(shapes[reference]["properties"])
        younger = {"cluster_id"} if name == "plans" else set()
        assert set(first) - younger == set(shapes[reference]["required"]), "all but what older plans lack is required"
    assert answer("/api/plans/{id}/approve", "post", "202")["$ref"] == "#/components/schemas/Plan"
    assert shapes["Plan"]["properties"]["steps"]["items"] == {"$ref": "#/components/schemas/Step"}
    assert "verified" in shapes["Plan"]["properties"]["state"]["enum"]


async def test_a_hot_broker_goes_the_whole_way_and_back(rig, http):
    before = dict(rig.cluster.replicas)
    await rig.rounds(6)
    (risk,) = (await http.get("/api/findings")).json()
    assert (risk["rule"], risk["resource"]) == ("BAL-01", "c/broker/0")
    (plan,) = (await http.get("/api/plans")).json()
    assert plan["state"] == "proposed"
    assert plan["before"]["busiest_over_mean"] > 1.25 > plan["after"]["busiest_over_mean"]
    await _fit_their_schemas(http)

    assert (await http.post(f"/api/plans/{plan['id']}/approve", json={})).status_code == 401
    assert rig.cluster.effects == []
    said = await http.post(f"/api/plans/{plan['id']}/approve", json={"by": "ann", "note": "go"}, headers=WRITE)
    assert said.status_code == 202
    verified = await _state_of(http, plan["id"], "verified", rig)
    assert verified["state"] == "verified", verified["outcome"]
    assert verified["measured"]["busiest_over_mean"] < 1.25
    assert verified["approvals"][0]["by"] == "token:ann"
    assert (await http.get("/api/findings")).json() == []

    await http.post(f"/api/plans/{plan['id']}/rollback", json={}, headers=WRITE)
    assert (await _state_of(http, plan["id"], "rolled_back", rig))["state"] == "rolled_back"
    assert rig.cluster.replicas == before
    audit = (await http.get("/api/audit")).json()
    assert audit["intact"]
    assert {"approved", "executing", "verified", "rolled_back"} <= {entry["what"] for entry in audit["entries"]}


async def test_an_agent_that_only_reads_says_so_to_who_approves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rig = Rig(tmp_path, toml='[agent]\nmode = "read-only"')
    await rig.rounds(6)
    (plan,) = rig.agent.plans()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(rig.app), base_url="http://127.0.0.1:8099") as client:
        said = await client.post(f"/api/plans/{plan.id}/approve", json={"by": "ann"}, headers=WRITE)
    assert said.status_code == 409
    assert "only reads" in said.json()["error"]["what"]
    assert rig.cluster.effects == []
    await asyncio.to_thread(rig.fleet.close)


async def test_the_overview_adds_up(rig, http):
    await rig.rounds(3)
    seen = (await http.get("/api/overview")).json()
    assert [broker["id"] for broker in seen["brokers"]] == ["0", "1", "2"]
    assert seen["totals"]["bytes_in_per_s"] == sum(broker["bytes_in_per_s"] for broker in seen["brokers"])
    assert len(seen["brokers"][0]["series"]["bytes_in_per_s"]) == 3
    assert seen["usd_per_hour"] == pytest.approx(0.3)
    assert seen["usd_per_month"] == pytest.approx(0.3 * 730)


@pytest.mark.parametrize(
    ("path", "number"),
    [("/api/plans/none", 404), ("/api/views/moon", 404), ("/api/cost?by=moon", 400), ("/nowhere", 404),
     ("/api/views/broker?window_s=x", 422)],
)  # fmt: skip
async def test_every_refusal_has_one_shape(http, path, number):
    answer = await http.get(path)
    assert answer.status_code == number
    assert set(answer.json()["error"]) == {"what", "number", "next"}
    assert answer.json()["error"]["number"] == number


async def test_a_foreign_page_and_a_rebound_name_are_kept_out(http):
    assert (await http.get("/api/status", headers={"Host": "evil.example"})).status_code == 403
    foreign = {**WRITE, "Origin": "http://evil.example"}
    assert (await http.post("/api/plans", json={}, headers=foreign)).status_code == 403


async def test_a_long_body_is_refused_before_it_is_read(http):
    assert (await http.post("/api/plans", content=b"x" * 100_000, headers=WRITE)).status_code == 413


async def test_readiness_waits_for_a_round_and_health_does_not(rig, http):
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/healthz")).status_code == 200
    await rig.rounds(1)
    assert (await http.get("/readyz")).status_code == 200


async def test_a_mute_needs_an_owner_and_silences(rig, http):
    mute = {"rule": "BAL-01", "owner": "ann", "reason": "planned", "until": "2026-11-22T13:00:00Z"}
    assert (await http.post("/api/mutes", json={**mute, "owner": ""}, headers=WRITE)).status_code == 422
    assert (await http.post("/api/mutes", json=mute, headers=WRITE)).status_code == 201
    await rig.rounds(6)
    assert (await http.get("/api/findings")).json() == []
    assert [risk["state"] for risk in (await http.get("/api/findings", params={"all": 1})).json()] == ["muted"]


async def test_the_metrics_are_the_names_that_are_promised(rig, http):
    from agent.serve.metrics import NAMES

    await rig.rounds(6)
    text = (await http.get("/metrics")).text
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert names == NAMES
    assert 'streampilot_findings{level="P1",rule="BAL-01"} 1.0' in text
    assert 'streampilot_plans{state="proposed"} 1.0' in text


async def test_cost_says_what_it_was_and_what_it_would_be(rig, http):
    await rig.rounds(8)
    found = (
        await http.get("/api/cost", params={"by": "zone", "since_s": 3600, "what_if": ["spot", "traffic=2x"]})
    ).json()
    assert {row["name"] for row in found["rows"]} == {"zone-a", "zone-b", "zone-c"}
    assert sum(point["usd"] for point in found["history"]) == pytest.approx(0.3 * 70 / 3600)
    assert found["what_if"]["changes"] == ["spot", "traffic=2x"]
    assert "on spot" in found["what_if"]["after"][0]["arithmetic"]
    refused = await http.get("/api/cost", params={"what_if": "magic"})
    assert (refused.status_code, "traffic=3x" in refused.json()["error"]["what"]) == (400, True)
