"""The screens, driven by keys, on a real HTTP server over a whole agent."""

import asyncio
import contextlib
import io
import socket

import pytest
from rich.console import Console
from textual.widgets import DataTable, Input, Static, TabbedContent

from agent.loop.config import load
from agent.serve.server import bind, make_server, until_started
from tests.agent.rig import TOKEN, Rig, WatchedCluster
from tui.app import StreampilotApp
from tui.client import Client, Costs, Unreachable
from tui.messages import Answered
from tui.widgets.costs import against
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


async def test_an_answer_leaves_a_person_on_the_screen_that_was_opened_meanwhile(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            tabs = app.query_one("#tabs", TabbedContent)
            await pilot.press("4")
            await until(pilot, lambda: tabs.active == "chat-tab")
            await pilot.press("escape", "2")
            await until(pilot, lambda: app.focused is not None and app.focused.id == "findings")
            app.post_message(Answered("late", ()))
            await until(pilot, lambda: len(app.query(".turn")) == 2)
            await pilot.pause(0.2)
            assert (tabs.active, app.focused.id) == ("findings-tab", "findings")


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


def on_screen(app) -> str:
    """Every cell of the screen, as a terminal without colours shows it."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


async def test_the_cost_screen_counts_by_each_way_and_says_what_findings_are_worth(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            await pilot.press("5")
            table = app.query_one("#costs", DataTable)
            await until(pilot, lambda: table.row_count > 0)
            assert [str(cell) for cell in table.get_row_at(0)[:2]] == ["compute", "$0.3000"]
            figures = words(app, "#cost-figures")
            assert "$0.3000 an hour, $219.00 a month" in figures and "this month so far" in figures
            assert "no bill is configured" in words(app, "#cost-bill")
            for way in ("topic", "client", "group", "zone"):
                await pilot.press("b")
                await until(pilot, lambda way=way: table.row_count > 0 and f"by {way} " in str(table.border_title))
            await until(pilot, lambda: str(table.get_row_at(0)[0]).startswith("zone-"))


async def test_the_bill_stands_beside_the_meter_with_a_word_where_they_are_apart():
    day = {"days_compared": ["2026-11-01"], "source": "b", "rows": 2, "closed_until": "2026-11-02"}
    sides = [("compute", 1.0, 1.02), ("nat", 0.0, 0.5)]
    compared = [
        {"component": name, "meter_usd_per_hour": meter, "bill_usd_per_hour": told} for name, meter, told in sides
    ]
    found = Costs(by="component", now={}, month=(), bill={**day, "compared": compared}, no_bill="")
    console = Console(width=78, record=True, file=io.StringIO())
    console.print(against(found))
    lines = console.export_text().splitlines()
    assert "1 day(s) to 2026-11-01" in lines[0]
    assert lines[1].split() == ["compute", "$1.00", "$1.02", "$0.0200", "agree"]
    assert lines[2].split() == ["nat", "$0.00", "$0.5000", "$0.5000", "apart"]


async def test_a_terminal_of_80_columns_and_24_lines_has_what_matters(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, TOKEN, every_s=0.1)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.picture is not None and bool(app.picture.plans))
            for word in ("brokers 3/3", "findings 1 P1", "/h", "WRITTEN", "BALANCE", "● up", "q quit"):
                await until(pilot, lambda word=word: word in on_screen(app))
            await pilot.press("2")
            await until(pilot, lambda: "observed" in on_screen(app))
            await pilot.press("3")
            await until(pilot, lambda: "predicted" in on_screen(app) and "a approve" in on_screen(app))
            await pilot.press("5")
            await until(pilot, lambda: "compute" in on_screen(app) and "b by whom" in on_screen(app))


async def test_while_a_question_is_typed_digits_are_letters_and_the_way_out_is_shown(rig):
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None)
            await pilot.press("4", "2")
            await until(pilot, lambda: app.query_one("#question", Input).value == "2")
            await until(pilot, lambda: "leave the field" in on_screen(app) and "q quit" not in on_screen(app))
            await pilot.press("escape", "2")
            await until(pilot, lambda: app.query_one("#tabs", TabbedContent).active == "findings-tab")


async def test_no_color_is_heeded_and_every_screen_comes(rig, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with served(rig) as address:
        app = StreampilotApp(address, every_s=0.1)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.picture is not None and "● up" in on_screen(app))
            for key, word in (("2", "evidence"), ("3", "diff"), ("5", "meter against bill")):
                await pilot.press(key)
                await until(pilot, lambda word=word: word in on_screen(app))
            cells = [cell for line in app.screen._compositor.render_strips() for cell in line if cell.style]
            for colour in (cell.style.color for cell in cells if cell.style.color):
                assert len(set(colour.get_truecolor())) == 1, "grey is as much of each"
