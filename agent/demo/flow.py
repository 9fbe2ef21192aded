"""The story without a person: load, wait, plan, approve, verify, prove, each step narrated.

It treats the agent as somebody else's process: HTTP and public flags only, and it waits for as long as the agent's own
pages need, never for what it knows to be planted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.demo.client import AgentClient
from agent.demo.consume import STOPS_AFTER_S
from agent.demo.errors import AgentRefused
from agent.demo.measure import Meter
from agent.demo.narrate import Narrator, first_sentence, load_picture, usd
from agent.demo.report import key_of, moves, over_mean
from agent.demo.scenario import Scenario
from agent.demo.settle import longest_s
from agent.model.finding import Risk
from agent.model.plan import Plan, Refusal

POLL_S = 1.0
STABLE_S = 10.0
"""Two scrape rounds without a new finding."""
SCRAPES_S = 10.0
"""A problem is in the samples two scrape rounds after it began."""
MOST_WAITS = 2.0
"""Times the expected time; then it goes on with what there is."""
VERIFY_S = 150.0
MEASURE_S = 6.0
SETTLED = frozenset({"verified", "failed", "rolled_back", "expired", "rejected"})


@dataclass
class Watch:
    """Every finding that was open at any time, the newest word on each."""

    agent: AgentClient
    narrator: Narrator
    quiet: bool = False
    """True while the TUI has the screen."""
    seen: dict[tuple[str, str], Risk] = field(default_factory=dict)

    def look(self) -> bool:
        """Asks once and narrates what is new; True if anything is."""
        fresh = False
        for risk in self.agent.risks():
            key = key_of(risk)
            if risk.state not in {"open", "acknowledged"} and key not in self.seen:
                continue
            if key not in self.seen:
                fresh = True
                self._tell(risk)
            self.seen[key] = risk
        return fresh

    def _tell(self, risk: Risk) -> None:
        if not self.quiet:
            text, money = first_sentence(risk.explanation or risk.title), usd(risk.latest.usd_per_month)
            self.narrator.say(f"found {risk.level} {risk.rule} {risk.resource} ({money}): {text}")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of the story's middle."""

    plans: tuple[Plan, ...]
    refusals: tuple[Refusal, ...]
    load_before: dict[str, float]
    load_after: dict[str, float] | None


@dataclass
class Flow:
    """One unattended run on a cluster that is up and under load."""

    agent: AgentClient
    narrator: Narrator
    scenario: Scenario
    meter: Meter
    watch: Watch
    time_scale: float
    beat: Callable[[], str]
    """Raises if a client or the cluster died; says what the clients have done."""

    def run(self) -> Told:
        """From load to proof; the caller stops the load and reads the records back."""
        self.await_findings()
        before = self.meter.rates()
        self.narrator.say("written per broker, by the brokers' own counters:")
        self.narrator.block(load_picture(before, self._zone))
        self.narrator.phase("plan")
        proposed, refusals = self.agent.propose()
        for refusal in refusals:
            self.narrator.say(f"no plan for {refusal.rule} {refusal.resource}: {refusal.reason}")
            self.narrator.block(refusal.advice.splitlines())
        if not proposed and not refusals:
            self.narrator.say("nothing to plan: no open finding has an action the agent may take")
        approved = [plan.id for plan in proposed if self._approve(plan)]
        settled = [self._await_outcome(plan_id) for plan_id in approved]
        after = self._measure_after() if settled else None
        self.watch.look()
        return Told(plans=tuple(self.agent.plans()), refusals=tuple(refusals), load_before=before, load_after=after)

    def await_findings(self) -> None:
        """Until the pages have had their time and two rounds brought nothing new."""
        expected = STOPS_AFTER_S + SCRAPES_S + longest_s(self.agent.rules(), self.time_scale)
        self.narrator.phase("diagnosis")
        self.narrator.say(
            f"the agent's rule pages need up to {expected:.0f} s of this load (time scale {self.time_scale:g})"
        )
        start = changed = told = self.narrator.elapsed_s
        while True:
            now = self.narrator.elapsed_s
            if self.watch.look():
                changed = now
            if now - start >= expected and now - changed >= STABLE_S:
                break
            if now - start >= expected * MOST_WAITS:
                self.narrator.say("findings still change; going on with what there is")
                break
            if now - told >= 10.0:
                told = now
                left = max(0.0, expected - (now - start))
                self.narrator.say(f"{self.beat()}; {len(self.watch.seen)} findings; up to {left:.0f} s more")
            self._pause()
        self.narrator.say(f"{len(self.watch.seen)} findings, and no new one for {STABLE_S:.0f} s")

    def _approve(self, plan: Plan) -> bool:
        """Shows the plan, and approves it if every step can be taken back."""
        say = self.narrator
        say.say(f"{plan.id}: {plan.title}")
        say.block([f"move {move}" for move in moves(plan.before, plan.after)])
        say.block([f"busiest/mean {plan.before.busiest_over_mean:.2f} -> {plan.after.busiest_over_mean:.2f} predicted"])
        say.block(load_picture(plan.after.broker_bytes_per_s, self._zone))
        say.block([f"risk: {plan.risk}"])
        if not plan.steps or any(step.step_class != "reversible" for step in plan.steps):
            say.say("not approved: it has steps that cannot be taken back")
            return False
        try:
            self.agent.approve(plan.id)
        except AgentRefused as error:
            say.say(f"{error}; {error.next_step}")
            return False
        say.say(f"approved: its {len(plan.steps)} steps can all be taken back")
        return True

    def _await_outcome(self, plan_id: str) -> Plan:
        """Until the plan is verified, or is not going to be."""
        start = told = self.narrator.elapsed_s
        line = ""
        while True:
            plan = self.agent.plan(plan_id)
            done = sum(step.state == "done" for step in plan.steps)
            now = f"{plan_id} is {plan.state}, {done} of {len(plan.steps)} steps done"
            if now != line or self.narrator.elapsed_s - told >= 10.0:
                line, told = now, self.narrator.elapsed_s
                self.narrator.say(now if plan.state != "verifying" else f"{now}; waiting for fresh samples")
            self.watch.look()
            if plan.state in SETTLED:
                self.narrator.say(f"{plan_id}: {plan.outcome}")
                return plan
            if self.narrator.elapsed_s - start > VERIFY_S:
                self.narrator.say(f"{plan_id} did not settle within {VERIFY_S:.0f} s")
                return plan
            self.beat()
            self._pause()

    def _measure_after(self) -> dict[str, float]:
        self.meter.rates()
        self._pause(MEASURE_S)
        after = self.meter.rates()
        self.narrator.say(f"busiest/mean is {over_mean(after):.2f} now, by the brokers' own counters:")
        self.narrator.block(load_picture(after, self._zone))
        return after

    def _zone(self, broker: str) -> str:
        return next((node.zone for node in self.scenario.nodes if str(node.id) == broker), "")

    def _pause(self, seconds: float = POLL_S) -> None:
        time.sleep(seconds)
