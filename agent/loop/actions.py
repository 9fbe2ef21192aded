"""Plans in their life: proposed by the agent, decided by a person, run and verified in the background, one at a time.

Everything that changes a cluster goes through the executor, which journals before each call.
"""

from __future__ import annotations

import getpass
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, get_current_span, set_span_in_context

from agent.act.errors import ActError
from agent.collect.errors import CollectError
from agent.loop.events import Herald
from agent.loop.glance import WINDOW_S, Glance
from agent.loop.patience import SentHome
from agent.loop.planning import ASKED_AGAIN_S, HOT_PARTITION, answers, cluster_state, measured, wants_plan
from agent.loop.refused import Refused
from agent.loop.rooms import Rooms
from agent.model.codec import timestamp
from agent.model.finding import Risk
from agent.model.plan import Outlook, Plan, Refusal
from agent.plan.settings import PlanSettings

log = logging.getLogger("streampilot.agent")

TOKEN_NAME = "token"
MOST_TRACED = 1_000
AWAY_S = 1.0
"""Between two questions to a cluster that plans wait for."""
GRAVE = frozenset({"P0", "P1"})
"""Levels that, newly open after a plan ran, fail its verification."""


class Actions:
    """The plans of one cluster."""

    def __init__(self, rooms: Rooms, herald: Herald, known: Sequence[Risk] = ()) -> None:
        """`known`: the risks that are open from before this process: they are not news to a plan taken up again."""
        self._rooms = rooms
        self._herald = herald
        self._lock = threading.RLock()
        self._refused: dict[str, tuple[datetime, Refusal]] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="act")
        self._busy = threading.Event()
        self._open = known
        self._bounds = PlanSettings(throttle_bytes_per_s=rooms.config.throttle_bytes_per_s)
        self._rounds: dict[str, SpanContext] = {}
        """Plan to the round that made it: what is done for it belongs to that trace."""

    def resume(self) -> None:
        """Takes up what a restart interrupted: each step is found done or not by reading the cluster.

        A plan that was approved and not begun is begun: what must hold before it starts is looked at again. A cluster
        that is away is waited for: nothing can be found out about a step before it is back.
        """
        self._worker.submit(self._guarded, "resume", self._resumed)
        for plan in reversed(self.plans()):
            if plan.state in {"executing", "verifying"}:
                self._worker.submit(self._guarded, plan.id, self._verifying(plan.id))
            elif plan.state == "approved":
                self._worker.submit(self._guarded, plan.id, self._executing(plan.id))

    def _resumed(self) -> list[Plan]:
        if any(plan.state in {"executing", "verifying", "approved", "failed"} for plan in self.plans()):
            self._await_cluster()
        return self._rooms.executor.resume()

    def _await_cluster(self) -> None:
        """Until the cluster answers, or the process ends."""
        said = False
        while True:
            try:
                self._rooms.admin.topology()
                return
            except CollectError as error:
                if not said:
                    log.warning("%s: plans wait until it answers: %s", self._rooms.cluster, error)
                said = True
            self._rooms.patience.sleep(AWAY_S)

    def close(self) -> None:
        """Ends waiting at once; a step under way is found done or not at the next start."""
        self._rooms.patience.send_home()
        self._worker.shutdown(wait=True, cancel_futures=True)

    # Reading

    def plans(self) -> list[Plan]:
        """The newest first."""
        found = self._rooms.executor.journal.plans()
        return sorted(found, key=lambda plan: (plan.created_at, plan.id), reverse=True)

    def plan(self, id: str) -> Plan:
        """One plan; Refused where there is none."""
        plan = self._rooms.executor.journal.plan(id)
        if plan is None:
            raise Refused(f"no plan {id!r}", "list them: streampilot plan", number=404)
        return plan

    def refusals(self) -> list[Refusal]:
        """Why open risks have no plan, as last said."""
        ids = {risk.id for risk in self._open}
        return [refusal for _, refusal in self._refused.values() if refusal.risk in ids]

    # Proposing

    def tend(self, risks: Sequence[Risk]) -> None:
        """Once a round: ends what ran out, and proposes for what has no plan yet, unless one is running."""
        self._open = risks
        if self._busy.is_set():
            return
        for words in self._rooms.executor.tidy():
            log.warning("%s", words)
        for plan in self._rooms.executor.expire():
            self._tell(plan)
        now, plans = self._rooms.clock.now(), self.plans()
        due = [risk for risk in risks if wants_plan(risk, plans) and self._asked_long_ago(risk, now)]
        if due:
            self.propose(due)

    def propose(self, risks: Sequence[Risk]) -> tuple[list[Plan], list[Refusal]]:
        """Plans and refusals; a plan that says the same as a living one is that one."""
        with self._lock:
            now = self._rooms.clock.now()
            suspected = self._rooms.suspected(HOT_PARTITION, now)
            picture = cluster_state(
                self._rooms.source,
                now,
                self._rooms.cluster,
                self._open,
                suspected,
                cluster_id=self._rooms.collector.cluster_id,
            )
            made, refusals = answers(risks, self._open, picture, now, self._bounds)
            for refusal in refusals:
                self._refused[refusal.risk] = (now, refusal)
            return [self._keep(plan) for plan in made], refusals

    def _keep(self, plan: Plan) -> Plan:
        for old in self.plans():
            if old.state == "proposed" and set(old.risks) & set(plan.risks):
                if old.state_hash == plan.state_hash and old.after.assignment == plan.after.assignment:
                    return old
                self._tell(self._rooms.executor.reject(old.id, "agent", f"replaced by {plan.id}"))
        log.info("plan %s: %s", plan.id, plan.title)
        self._rounds[plan.id] = get_current_span().get_span_context()
        while len(self._rounds) > MOST_TRACED:
            del self._rounds[next(iter(self._rounds))]
        return self._tell(self._rooms.executor.submit(plan))

    def _asked_long_ago(self, risk: Risk, now: datetime) -> bool:
        last = self._refused.get(risk.id)
        return last is None or (now - last[0]).total_seconds() >= ASKED_AGAIN_S

    # Deciding

    def approve(self, id: str, *, by: str, note: str) -> Plan:
        """Approved by a person; once enough of them did, it runs in the background."""
        plan = self._tell(self._decided(lambda: self._rooms.executor.approve(self.plan(id), _who(by), note)))
        if plan.state == "approved":
            self._worker.submit(self._guarded, id, self._executing(id))
        return plan

    def reject(self, id: str, *, by: str, note: str) -> Plan:
        """It will not run."""
        return self._tell(self._decided(lambda: self._rooms.executor.reject(self.plan(id), _who(by), note)))

    def rollback(self, id: str, *, by: str, note: str) -> Plan:
        """Taken back in the background, to the pre-image."""
        plan = self.plan(id)
        if plan.state not in {"verified", "failed", "verifying"}:
            raise Refused(f"{id} is {plan.state}", "only a plan that ran can be taken back", number=409)
        plan = self._tell(self._decided(lambda: self._rooms.executor.ask_back(id, _who(by))))
        self._worker.submit(self._guarded, id, lambda: [self._rooms.executor.rollback(id, _who(by), note)])
        return plan

    def _decided(self, decide: Callable[[], Plan]) -> Plan:
        try:
            return decide()
        except ActError as error:
            raise Refused(str(error), "see streampilot plan", number=409) from error

    # Running, in the one worker thread

    def _executing(self, id: str) -> Callable[[], list[Plan]]:
        def run() -> list[Plan]:
            with self._span("execute") as span:
                plan = self._tell(self._rooms.executor.execute(id, dry_run=False, alarms=self._alarms()))
                for step in plan.steps:
                    span.add_event("step", {"n": step.n, "action": step.action, "state": step.state})
            return [plan] if plan.state != "verifying" else self._verifying(id)()

        return run

    def _verifying(self, id: str) -> Callable[[], list[Plan]]:
        def run() -> list[Plan]:
            plan = self.plan(id)
            if plan.state != "verifying":
                return [plan]
            with self._span("verify"):
                return [
                    self._rooms.executor.verify(
                        id, self._rooms.confirm, alarms=self._alarms, measure=lambda: self._measure(plan)
                    )
                ]

        return run

    def _span(self, name: str, context: Context | None = None) -> AbstractContextManager[Span]:
        return self._rooms.tracer.start_as_current_span(name, context=context)

    def _traced(self, what: str) -> AbstractContextManager[Span]:
        """The span of a plan's own work, in the trace of the round that made the plan; else in one of its own."""
        made = self._rounds.get(what)
        return self._span("act", set_span_in_context(NonRecordingSpan(made), Context()) if made else Context())

    def _measure(self, plan: Plan) -> Outlook | None:
        """Over the time since the last step only: a longer window would still hold the load from before."""
        now = self._rooms.clock.now()
        changed = self._rooms.executor.journal.last_change(plan)
        window_s = WINDOW_S if changed is None else min(WINDOW_S, max(1.0, (now - changed).total_seconds()))
        with Glance(self._rooms.source, now, window_s) as glance:
            return measured(plan, glance.rows("broker_load"), glance.rows("partition"))

    def _alarms(self) -> list[str]:
        return [risk.id for risk in self._open if risk.level in GRAVE]

    def _guarded(self, what: str, work: Callable[[], list[Plan]]) -> None:
        """Runs in the worker; what goes wrong is said, and the plan keeps the state that was journaled."""
        self._busy.set()
        try:
            with self._traced(what) as span:
                span.set_attribute("plan", what)
                for plan in work():
                    log.info("plan %s is %s: %s", plan.id, plan.state, plan.outcome)
                    span.set_attributes({"state": plan.state, "outcome": plan.outcome})
                    self._tell(plan)
        except SentHome:
            log.info("%s: left for the next start", what)
        except Exception as error:
            log.warning("%s: %s", what, error)
            self._herald.publish("note", timestamp(self._rooms.clock.now()), id=what, problem=str(error))
        finally:
            self._busy.clear()

    def _tell(self, plan: Plan) -> Plan:
        self._herald.publish("plan", timestamp(self._rooms.clock.now()), id=plan.id, state=plan.state)
        return plan


def _who(by: str) -> str:
    """Token name and OS user: the person as their own machine names them, else the one who runs the agent."""
    return f"{TOKEN_NAME}:{by or getpass.getuser()}"
