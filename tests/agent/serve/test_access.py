"""Who may call: token for writes, Host and Origin checked, more away from loopback."""

import stat
from dataclasses import replace

import httpx
import pytest

from agent.loop.config import load
from agent.loop.refused import Refused
from agent.serve.access import Door, ensure_token
from agent.serve.app import make_app
from agent.serve.server import bind, check_exposure

HOST = "127.0.0.1:8099"


def _ask(door, **changes):
    call = {"write": False, "host": HOST, "origin": "", "authorization": "", **changes}
    door.check(**call)


def test_the_token_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "d" / "token"
    token = ensure_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_token(path) == token


def test_a_token_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "token"
    ensure_token(path)
    path.chmod(0o644)
    with pytest.raises(Refused, match="others may read it"):
        ensure_token(path)


def test_a_write_needs_the_token_on_loopback_too():
    door = Door(token="spt_x", host="127.0.0.1")
    _ask(door)
    _ask(door, write=True, authorization="Bearer spt_x")
    for wrong in ("", "Bearer spt_y", "Basic spt_x", "spt_x"):
        with pytest.raises(Refused) as refused:
            _ask(door, write=True, authorization=wrong)
        assert refused.value.number == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8099", "", "127.0.0.1.evil.example"])
def test_a_rebound_name_is_refused(host):
    with pytest.raises(Refused) as refused:
        _ask(Door(token="spt_x", host="127.0.0.1"), host=host)
    assert refused.value.number == 403


def test_a_page_from_elsewhere_is_refused_even_with_the_token():
    with pytest.raises(Refused, match="origin"):
        _ask(Door(token="spt_x", host="127.0.0.1"), origin="http://evil.example", authorization="Bearer spt_x")


def test_away_from_loopback_reads_need_the_token_too():
    door = Door(token="spt_x", host="0.0.0.0")
    with pytest.raises(Refused):
        _ask(door, host="10.0.0.1:8099")
    _ask(door, host="10.0.0.1:8099", authorization="Bearer spt_x")


def test_away_from_loopback_it_wants_tls_or_a_plain_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load("", {}, {"listen": "0.0.0.0:0"})
    with pytest.raises(Refused, match="--insecure"):
        check_exposure(config)
    check_exposure(replace(config, insecure=True))


def test_a_taken_port_is_named():
    with bind("127.0.0.1", 0) as taken, pytest.raises(Refused, match=str(taken.getsockname()[1])):
        bind("127.0.0.1", taken.getsockname()[1])


def test_a_token_that_may_only_push_does_nothing_else():
    for host in ("127.0.0.1", "0.0.0.0"):
        door = Door(token="spt_x", push_token="spt_p", host=host)
        for token in ("spt_x", "spt_p"):
            _ask(door, write=True, push=True, authorization=f"Bearer {token}")
        with pytest.raises(Refused, match="may only push") as refused:
            _ask(door, write=True, authorization="Bearer spt_p")
        assert refused.value.number == 403
    with pytest.raises(Refused, match="may only push"):
        _ask(Door(token="spt_x", push_token="spt_p", host="0.0.0.0"), authorization="Bearer spt_p")
    with pytest.raises(Refused, match="needs the token"):
        _ask(Door(token="spt_x", host="127.0.0.1"), write=True, push=True, authorization="Bearer ")


async def test_the_push_token_opens_the_pushing_routes_only(rig):
    app = make_app(rig.fleet, Door(token="spt_x", push_token="spt_p", host="127.0.0.1"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers={"Authorization": "Bearer spt_p"}
    ) as http:
        assert (await http.post("/v1/metrics", json={})).status_code == 200
        said = await http.post("/api/events", json={"kind": "deploy", "owner": "ci", "detail": "checkout 4.2"})
        assert said.status_code == 201
        (heard,) = [entry for entry in rig.fleet.audit(9)["entries"] if entry["what"] == "announced"]
        assert (heard["by"], heard["owner"]) == ("push-token:ci", "ci"), "the audit names the token that was used"
        told = (await http.get("/openapi.json")).json()["paths"]
        posts = [path for path, methods in told.items() if "post" in methods and not path.startswith("/api/v1/")]
        others = set(posts) - {"/v1/metrics", "/api/events", "/api/ask", "/api/sql"}
        assert len(others) >= 5
        for path in others:
            refused = await http.post(path.replace("{id}", "plan-1"), json={})
            assert refused.json()["error"]["number"] == 403, path
