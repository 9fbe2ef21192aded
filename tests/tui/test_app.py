"""The screens, driven by keys, on a real HTTP server over a whole agent."""

import asyncio
import contextlib
import io
import socket

import pytest
from rich.console import Console
from textual.widgets import Input, Static

from agent.loop.config import load
from agent.serve.server import bind, make_server, until_started
from tests.agent.rig import TOKEN, Rig, WatchedCluster
from tui.app import StreampilotApp
from tui.client import Client, Unreachable
from tui.widgets.masthead import Masthead
from tui.widgets.plans import Plans

SIZE = (140, 42)


@contextlib.asynccontextmanager
async def served(rig: Rig, port: int = 0):
    """The rig's application on loopback; its address."""
    listener = bind("127.0.0.1", port)
    server = make_server(rig.app, load("", {}, {}))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until_started(server, task)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task
        listener.close()


@pytest.fixture
async def rig(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Rig(tmp_path)
    await made.rounds(6)
    yield made
    await asyncio.to_thread(made.fleet.close)


async def until(pilot, holds, patience_s=30.0):
    """Waits for what should become true on the screen."""
    for _ in range(int(patience_s / 0.05)):
        if holds():
            return
        await pilot.pause(0.05)
    raise AssertionError("it did not become true")


def words(app, selector) -> str:
    """What a part of the screen says, without colours."""
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(app.screen_stack[0].query_one(selector, Static).content)
    return console.export_text()


async def test_the_overview_shows_brokers_their_load_and_the_cost(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            line = app.query_one(Masthead).line().plain
            assert "3/3" in line
            assert "20.0 MiB/s" in line
            assert "live" in line
            table = app.query_one("#brokers")
            row = [str(cell) for cell in table.get_row("0")]
            assert row[1:4] == ["zone-a", "● up", "12.0 MiB/s"]
            assert "$0.3000 an hour" in words(app, "#tile-cost")


async def test_a_finding_shows_level_evidence_and_explanation(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            await pilot.press("2")
            await until(pilot, lambda: "BAL-01" in words(app, "#finding"))
            text = words(app, "#finding")
            assert "P1 BAL-01" in text
            assert "c/broker/0" in text
            assert "evidence: broker_load" in text


async def test_a_plan_is_approved_only_after_a_yes_and_then_rolled_back(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, TOKEN, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None and bool(app.picture.plans))
            await pilot.press("3")
            await until(pilot, lambda: "busiest over mean" in words(app, "#plan"))
            await pilot.press("a", "n")
            await pilot.pause(0.2)
            assert rig.cluster.effects == []
            await pilot.press("a", "y")
            await until(pilot, lambda: rig.cluster.effects != [])

            def state():
                return app.screen_stack[0].query_one(Plans).chosen.state

            for _ in range(40):  # on a busy machine the plan may be carried out some rounds later
                if state() == "verified":
                    break
                await rig.rounds(1)
                await pilot.pause(0.15)
            await until(pilot, lambda: state() == "verified")
            await pilot.press("r", "y")
            await until(pilot, lambda: state() == "rolled_back")


async def test_without_the_token_the_refusal_is_shown_and_nothing_happens(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None and bool(app.picture.plans))
            await pilot.press("3", "a", "y")
            await until(pilot, lambda: any("needs the token" in note.message for note in app._notifications))
            assert rig.cluster.effects == []


async def test_a_lost_agent_is_said_and_comes_back(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            app.client, away = Client("http://127.0.0.1:9", ""), app.client
            await until(pilot, lambda: "connection lost" in app.query_one(Masthead).line().plain)
            assert "3/3" in app.query_one(Masthead).line().plain
            app.client = away
            await until(pilot, lambda: "live" in app.query_one(Masthead).line().plain)


async def test_chat_asks_and_shows_the_answer_with_what_it_rests_on(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            await pilot.press("4")
            await pilot.press(*"what is wrong?", "enter")
            await until(pilot, lambda: len(app.query(".turn")) == 3 and not app.query_one("#question", Input).disabled)
            answer = str(list(app.query(".turn"))[-1].content)
            assert "broker" in answer


async def test_a_server_that_is_no_agent_is_said_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{taken.getsockname()[1]}", "")
        with pytest.raises(Unreachable, match="no agent answers"):
            await client.picture()
        await client.close()


async def test_one_key_shows_the_next_cluster_where_the_agent_watches_several(tmp_path):
    several = Rig(tmp_path, clusters=[WatchedCluster("east"), WatchedCluster("west")])
    await several.rounds(1)
    async with served(several) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            for name in ("east", "west", "east"):
                await until(pilot, lambda name=name: f" {name} " in app.query_one(Masthead).line().plain)
                assert app.picture.overview["totals"]["brokers"] == 3
                await pilot.press("c")
    await asyncio.to_thread(several.fleet.close)
