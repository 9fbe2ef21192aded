"""Questions to the data, and announcements, over the HTTP API of a whole agent."""

from datetime import timedelta

import numpy as np

from agent.store.batch import Batch
from tests.agent.rig import NOW, TOKEN, Rig

WRITE = {"Authorization": f"Bearer {TOKEN}"}


def _store(rig: Rig) -> None:
    store = rig.agent.rooms.store
    ids = [store.series_id("c", "http://h:1/metrics", "up_bytes_total", (("topic", name),)) for name in ("a", "b")]
    for n in range(3):
        values = np.array([n * 10.0, n * 20.0])
        store.write(Batch(at=NOW + timedelta(seconds=n), series=np.array(ids, dtype=np.int32), values=values))
    rig.clock.wind(10)


async def test_sql_reads_views_and_samples_and_needs_no_token(rig, http):
    _store(rig)
    sql = "SELECT b.broker, l.leaders FROM broker b JOIN broker_load l USING (broker) ORDER BY 1"
    said = (await http.post("/api/sql", json={"sql": sql})).json()
    assert said["columns"] == ["broker", "leaders"]
    assert [row[0] for row in said["rows"]] == ["0", "1", "2"]
    sql = "SELECT labels['topic'], max(value) FROM samples WHERE name = 'up_bytes_total' GROUP BY 1 ORDER BY 1"
    assert (await http.post("/api/sql", json={"sql": sql})).json()["rows"] == [["a", 20.0], ["b", 40.0]]


async def test_sql_that_is_more_than_a_select_is_refused_in_the_one_shape(http):
    said = await http.post("/api/sql", json={"sql": "DROP TABLE broker"})
    assert said.status_code == 400
    assert "one SELECT" in said.json()["error"]["what"]


async def test_series_come_with_their_points(rig, http):
    _store(rig)
    said = (await http.get("/api/series", params={"name": "up_bytes_total", "label": "topic=b"})).json()
    (found,) = said["series"]
    assert found["labels"]["topic"] == "b"
    assert [value for _, value in found["points"]] == [0.0, 20.0, 40.0]


async def test_the_views_are_listed_with_their_columns(http):
    said = {view["name"]: view for view in (await http.get("/api/views")).json()}
    assert said["security"]["columns"]["expires_at"] == "TIMESTAMPTZ"


async def test_an_announcement_needs_the_token_and_a_kind_that_is_known(http):
    assert (await http.post("/api/events", json={"kind": "deploy", "owner": "ann"})).status_code == 401
    said = await http.post("/api/events", json={"kind": "party", "owner": "ann"}, headers=WRITE)
    assert said.status_code == 400
    assert "deploy" in said.json()["error"]["next"]


async def test_a_maintenance_that_was_announced_keeps_the_peace(rig, http):
    await rig.rounds(6)
    assert len((await http.get("/api/findings")).json()) == 1
    until = (rig.clock.now() + timedelta(hours=1)).isoformat()
    body = {"kind": "maintenance", "resource": "broker/0", "detail": "new disk", "owner": "ann", "until": until}
    said = (await http.post("/api/events", json=body, headers=WRITE)).json()
    assert said["resource"] == "c/broker/0"
    await rig.rounds(1)
    assert (await http.get("/api/findings")).json() == []


async def test_a_deploy_is_quiet_from_now_and_a_spot_notice_is_not(rig, http):
    said = (await http.post("/api/events", json={"kind": "deploy", "owner": "ann"}, headers=WRITE)).json()
    assert (said["resource"], said["quiet_until"]) == ("c", said["at"])
    said = (await http.post("/api/events", json={"kind": "spot_notice", "resource": "broker/1", "owner": "node"},
                            headers=WRITE)).json()  # fmt: skip
    assert said["quiet_until"] is None
