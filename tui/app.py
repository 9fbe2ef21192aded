"""The application: a worker reads the agent every second and posts what it saw; the screens only draw.

It survives the agent: what was last seen stays on the screen, the loss is said at the top, and it recovers by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Footer, Input, TabbedContent, TabPane

from tui.client import Client, Declined, Picture, Unreachable
from tui.grey import heeding
from tui.messages import Answered, Lost, Priced, Said, Seen
from tui.palette import THEME
from tui.widgets.brokers import Brokers
from tui.widgets.chat import Chat
from tui.widgets.confirm import Confirm
from tui.widgets.costs import WAYS, CostsPane
from tui.widgets.findings import Findings
from tui.widgets.masthead import Masthead
from tui.widgets.plans import Plans
from tui.widgets.throughput import Throughput
from tui.widgets.tiles import Tiles

DEFAULT_AGENT = "http://127.0.0.1:8099"
EVERY_S = 1.0
COSTS_EVERY_S = 5.0
"""Money moves slowly, and each look reads the whole cost view; it is read only while it is shown."""


class StreampilotApp(App[int]):
    """Five screens on one agent."""

    TITLE = "streampilot"
    CSS_PATH = "streampilot.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "open('overview')", "overview"),
        Binding("2", "open('findings-tab')", "findings"),
        Binding("3", "open('plans-tab')", "plans"),
        Binding("4", "open('chat-tab')", "chat"),
        Binding("5", "open('costs-tab')", "cost"),
        Binding("b", "count_by", "by whom"),
        Binding("p", "propose", "make a plan"),
        Binding("a", "decide('approve')", "approve"),
        Binding("r", "decide('rollback')", "roll back"),
        Binding("x", "decide('reject')", "reject"),
        Binding("c", "next_cluster", "next cluster"),
        Binding("escape", "leave_field", "leave the field"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, address: str, token: str = "", cluster: str = "", *, every_s: float = EVERY_S) -> None:
        super().__init__()
        self.client = Client(address, token, cluster)
        self.picture: Picture | None = None
        self._every_s = every_s
        self._leaving = asyncio.Event()
        self._look_now = asyncio.Event()
        self._price_now = asyncio.Event()
        self._drawn = False
        self._tab, self._counted_by = "overview", WAYS[0]
        self._states: tuple[tuple[str, str], ...] = ()

    def compose(self) -> ComposeResult:
        yield Masthead(self.client.address)
        with TabbedContent(id="tabs"):
            with TabPane("Overview", id="overview"), Vertical():
                yield Tiles(id="tiles")
                yield Throughput()
                yield Brokers()
            with TabPane("Findings", id="findings-tab"):
                yield Findings()
            with TabPane("Plans", id="plans-tab"):
                yield Plans()
            with TabPane("Chat", id="chat-tab"):
                yield Chat()
            with TabPane("Cost", id="costs-tab"):
                yield CostsPane()
        yield Footer()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """As Textual's, but none that fails on a cell without a style."""
        return heeding(super().get_line_filters())

    def on_mount(self) -> None:
        self.register_theme(THEME)
        self.theme = THEME.name
        self._drawn = True
        self.run_worker(self._watch(), name="watch", exclusive=True, group="watch")
        self.run_worker(self._price(), name="price", exclusive=True, group="price")

    async def on_unmount(self) -> None:
        self._leaving.set()
        self._look_now.set()
        self._price_now.set()
        await self.client.close()

    # Workers: they post, and touch no widget

    async def _watch(self) -> None:
        while not self._leaving.is_set():
            try:
                shown = self.client.cluster
                seen = await self.client.picture()
                if shown in ("", self.client.cluster):  # not one that was left meanwhile
                    self.post_message(Seen(seen))
            except (Unreachable, Declined) as problem:
                self.post_message(Lost(str(problem)))
            try:
                await asyncio.wait_for(self._look_now.wait(), self._every_s)
            except TimeoutError:
                continue
            self._look_now.clear()

    async def _price(self) -> None:
        """Amounts of money, while their screen is open."""
        while not self._leaving.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._price_now.wait(), COSTS_EVERY_S)
            self._price_now.clear()
            if self._leaving.is_set() or self.picture is None or self._tab != "costs-tab":
                continue
            by, now = self._counted_by, datetime.fromisoformat(self.picture.status["now"])
            try:
                self.post_message(Priced(await self.client.costs(by, now)))
            except (Unreachable, Declined) as problem:
                self.post_message(Lost(str(problem)))

    async def _ask(self, question: str) -> None:
        try:
            found = await self.client.ask(question)
        except (Unreachable, Declined) as problem:
            self.post_message(Answered(str(problem), (), failed=True))
            return
        self.post_message(Answered(str(found["text"]), tuple(map(str, found.get("citations", ())))))

    async def _decide(self, plan: str, decision: str) -> None:
        try:
            await self.client.decide(plan, decision, getpass.getuser())
        except (Unreachable, Declined) as problem:
            self.post_message(Said(str(problem), failed=True))
            return
        self.post_message(Said(f"{decision}: {plan}"))

    async def _propose(self, risk: str) -> None:
        try:
            found = await self.client.propose(risk)
        except (Unreachable, Declined) as problem:
            self.post_message(Said(str(problem), failed=True))
            return
        refused = "; ".join(str(refusal["reason"]) for refusal in found["refusals"])
        self.post_message(Said(refused or f"{len(found['plans'])} plan(s) made: press 3", failed=bool(refused)))

    # What workers said

    @property
    def _main(self) -> Screen[None] | None:
        """The first screen; None while it is taken down, when what workers said last may still come."""
        main = self.screen_stack[0] if self.screen_stack else None
        return main if main is not None and main.query(Masthead) else None

    def on_seen(self, message: Seen) -> None:
        self.picture = message.picture
        if (main := self._main) is None:
            return
        main.query_one(Masthead).show(message.picture)
        main.query_one(Tiles).show(message.picture)
        main.query_one(Throughput).show(message.picture)
        main.query_one(Brokers).show(message.picture)
        main.query_one(Findings).show(message.picture)
        main.query_one(Plans).show(message.picture)
        main.query_one(CostsPane).show(message.picture)
        # Only on a change: the footer is made anew each time, and is empty for a moment.
        several = ("clusters", str(len(message.picture.status["clusters"])))
        states = (several, *((plan.id, plan.state) for plan in message.picture.plans))
        if states != self._states:
            self._states = states
            self.refresh_bindings()

    def on_priced(self, message: Priced) -> None:
        if (main := self._main) is not None:
            main.query_one(CostsPane).show_costs(message.costs)

    def on_tabbed_content_tab_activated(self, message: TabbedContent.TabActivated) -> None:
        self._tab = message.pane.id or ""
        self._price_now.set()
        self.refresh_bindings()

    def on_lost(self, message: Lost) -> None:
        if (main := self._main) is not None:
            main.query_one(Masthead).show_lost(message.reason)

    def on_answered(self, message: Answered) -> None:
        if (main := self._main) is not None:
            shown = self._tab == "chat-tab"
            main.query_one(Chat).answer(message.text, message.citations, failed=message.failed, shown=shown)

    def on_said(self, message: Said) -> None:
        self.notify(message.text, severity="error" if message.failed else "information", timeout=6)

    def on_chat_asked(self, message: Chat.Asked) -> None:
        self.run_worker(self._ask(message.question), group="ask", exclusive=True)

    # Keys

    def action_open(self, tab: str) -> None:
        self.query_one("#tabs", TabbedContent).active = tab
        first = {
            "overview": "#brokers",
            "findings-tab": "#findings",
            "plans-tab": "#plans",
            "chat-tab": "#question",
            "costs-tab": "#costs",
        }
        self.query_one(first[tab]).focus()

    def action_count_by(self) -> None:
        self._counted_by = self.query_one(CostsPane).turn()
        self._price_now.set()

    def action_leave_field(self) -> None:
        self.set_focus(None)

    def action_next_cluster(self) -> None:
        names = self.picture.status["clusters"] if self.picture else []
        if len(names) > 1:
            at = names.index(self.client.cluster) if self.client.cluster in names else -1
            self.client.cluster = str(names[(at + 1) % len(names)])
            self._look_now.set()

    @property
    def _typing(self) -> bool:
        """Keys are letters now."""
        return isinstance(self.focused, Input)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing on this screen are not offered."""
        if action == "next_cluster":
            several = self.picture is not None and len(self.picture.status["clusters"]) > 1
            return several and not self._typing
        if not self._drawn:
            return True
        if action == "leave_field":
            return self._typing
        if action in {"open", "quit"}:
            return not self._typing
        if action == "count_by":
            return self._tab == "costs-tab"
        if action not in {"decide", "propose"}:
            return True
        tab = self.query_one("#tabs", TabbedContent).active
        if action == "propose":
            return tab == "findings-tab"
        plan = self.query_one(Plans).chosen
        states = {"approve": {"proposed"}, "reject": {"proposed"}, "rollback": {"verified", "failed"}}
        return tab == "plans-tab" and plan is not None and plan.state in states[str(parameters[0])]

    def action_propose(self) -> None:
        risk = self.query_one(Findings).chosen
        if risk:
            self.run_worker(self._propose(risk.id), group="act", exclusive=True)

    def action_decide(self, decision: str) -> None:
        plan = self.query_one(Plans).chosen
        if plan is None:
            return
        moves = f"{len(plan.steps)} step(s) on {plan.cluster}"
        words = {
            "approve": (
                f"Approve “{plan.title}”?",
                f"{moves}. It runs now, is verified on fresh samples, and can be rolled back.",
            ),
            "rollback": (f"Roll back “{plan.title}”?", f"{moves}. The exact state from before is restored."),
            "reject": (f"Reject “{plan.title}”?", "It will not run."),
        }
        self.push_screen(Confirm(*words[decision]), self._when_sure(plan.id, decision))

    def _when_sure(self, plan: str, decision: str) -> Callable[[bool | None], None]:
        def decided(sure: bool | None) -> None:
            if sure:
                self.run_worker(self._decide(plan, decision), group="act", exclusive=True)

        return decided


def main(argv: Sequence[str] | None = None) -> int:
    """`streampilot tui [--agent URL] [--cluster NAME]`."""
    parser = argparse.ArgumentParser(prog="streampilot tui", description="The screen on a running agent.")
    parser.add_argument("--agent", default=os.environ.get("STREAMPILOT_AGENT", DEFAULT_AGENT), help="its address")
    parser.add_argument("--cluster", default="", help="the cluster to begin with, where the agent watches several")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if not sys.stdout.isatty():
        sys.stderr.write("streampilot: the TUI needs a terminal; use streampilot findings, plan and ask instead\n")
        return 2
    app = StreampilotApp(options.agent, os.environ.get("STREAMPILOT_TOKEN", ""), options.cluster)
    return app.run() or app.return_code or 0
