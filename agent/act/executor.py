"""Plans through their lives: proposed, approved, executing, verifying, verified; or failed, rolled back, expired.

The only room that changes a cluster. Blocking: run it in a thread. One lock, so one plan at a time; a step may hold it
for hours, so whoever wants to decide something meanwhile is told so instead of waiting.

Laws:
1. Nothing happens without an approval, and `execute` only rehearses unless it is told otherwise.
2. No action starts if the journal or the audit cannot be written.
3. A plan runs on the state it was made from and on no other, and not after it has expired.
4. After a restart `resume` finds each step done or not by reading the cluster; none runs twice.
5. A step that fails stops the plan. Taking it back is offered, and done alone only where that is configured.
6. A plan is approved, executed and taken back on the cluster whose name it carries, and on no other; and only while
   the cluster that answers has the Kafka id that the plan, and each approval, carries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from agent.act.actions import ACTIONS
from agent.act.cluster import Admin, hash_without, other_cluster
from agent.act.errors import ActError, NotAllowed, StepFailed
from agent.act.guard import ActSettings, may_start, only_reads, people, people_needed, stopped
from agent.act.journal import Journal, Keeper
from agent.act.steps import StepRunner, with_step
from agent.act.throttle import Throttles
from agent.collect.errors import CollectError
from agent.collect.shapes import Topology
from agent.model.clock import Clock
from agent.model.codec import timestamp, to_json
from agent.model.plan import Approval, Outlook, Plan, PlanState
from agent.model.ward import Ward

NOT_BACK = "not taken back"
"""How the outcome of a rollback that failed begins."""
LOOKS_BACK = 20
"""How often the cluster is read after a rollback before a difference counts."""

Confirm = Callable[[str, datetime], bool | None]
"""Risk id and the time of the last change: gone, still there, or not enough fresh samples (None)."""


class Executor:
    def __init__(
        self, admin: Admin, keeper: Keeper, clock: Clock, settings: ActSettings | None = None, *, ward: Ward
    ) -> None:
        """`admin` reaches the cluster of the `ward`."""
        self.settings = settings or ActSettings()
        self.journal = Journal(keeper, clock, ward)
        self._cluster = ward.cluster
        self._clock = clock
        self._admin = admin
        self._runner = StepRunner(admin, self.journal, clock, self.settings)
        self._throttles = Throttles(admin, self.journal)
        self._lock = threading.RLock()

    # A person decides

    def submit(self, plan: Plan, by: str = "agent") -> Plan:
        """Keeps a proposed plan; the same plan twice is kept once."""
        with self._alone():
            known = self.journal.plan(plan.id)
            if known is not None:
                return known
            self.journal.audit("proposed", plan, by, plan.title, before=to_json(plan.before), after=to_json(plan.after))
            return self.journal.save(plan)

    def approve(self, plan: Plan | str, by: str, note: str = "") -> Plan:
        """One person's yes; the plan is approved once enough people said it."""
        with self._alone():
            found = self._load(plan)
            only_reads(self.settings)
            self._must_be_here(found)
            self._must_be(found, "proposed")
            now = self._clock.now()
            if now >= found.expires_at:
                return self._end(found, "expired", "it was not approved in time")
            if by in people(found):
                raise NotAllowed(f"{by} has approved {found.id} already: it needs the approval of a second person")
            here = self._must_be_the_same(found)
            yes = Approval(by=by, at=now, note=note, cluster_id=here)
            found = replace(found, approvals=(*found.approvals, yes))
            self.journal.audit("approved", found, by, note)
            enough = len(people(found)) >= people_needed(self.settings)
            return self.journal.save(replace(found, state="approved") if enough else found)

    def reject(self, plan: Plan | str, by: str, note: str = "") -> Plan:
        with self._alone():
            found = self._load(plan)
            self._must_be(found, "proposed", "approved")
            self.journal.audit("rejected", found, by, note)
            return self.journal.save(replace(found, state="rejected", outcome=note or f"rejected by {by}"))

    def expire(self) -> list[Plan]:
        """Ends what nobody executed in time."""
        with self._lock:
            late = [
                plan
                for plan in self.journal.plans()
                if plan.state in ("proposed", "approved") and self._clock.now() >= plan.expires_at
            ]
            return [self._end(plan, "expired", "it was not executed in time") for plan in late]

    # The agent executes

    def execute(self, plan: Plan | str, *, dry_run: bool = True, alarms: Collection[str] = ()) -> Plan:
        """Runs every step; ends in `verifying` or `failed`. A dry run only says in `outcome` what would happen.

        `alarms` are the P0 and P1 risks that are open now: the verification fails on new ones.
        NotAllowed, with nothing called and the plan as it was, when a guard says no.
        """
        with self._lock:
            found = self._load(plan)
            self._must_be_here(found)
            if dry_run:
                return replace(found, outcome=self._rehearse(found))
            may_start(found, self.settings, self.journal, self._clock.now())
            self._check_state(found)
            by = ", ".join(sorted(people(found)))
            self.journal.audit("executing", found, by, found.title, steps=[to_json(step) for step in found.steps])
            self.journal.mark(found.id, "start", {"at": timestamp(self._clock.now()), "alarms": sorted(alarms)})
            return self._run(self.journal.save(replace(found, state="executing")))

    def resume(self) -> list[Plan]:
        """After a restart: goes on with what was executing or being taken back; an agent that only reads leaves it."""
        if self.settings.read_only:
            return []
        with self._lock:
            plans = [plan for plan in self.journal.plans() if plan.cluster == self._cluster]
            on = [plan for plan in plans if plan.state == "executing"]
            back = [plan for plan in plans if self._half_back(plan)]
            return [*(self._run(plan) for plan in on), *(self._undo_all(plan) for plan in back)]

    def tidy(self) -> list[str]:
        """Takes away throttles that a plan which has ended could not; in words, what is still owed."""
        owed = self._throttles.owed()
        if not owed or self.settings.read_only:
            return []
        with self._lock:
            found = [plan for id in owed if (plan := self.journal.plan(id)) is not None]
            ended = [plan for plan in found if plan.state != "executing" and not self._half_back(plan)]
            return [words for plan in ended if plan.cluster == self._cluster and (words := self._tidied(plan))]

    def _tidied(self, plan: Plan) -> str:
        try:
            if any(ACTIONS[step.action].under_way(self._admin, step.params) for step in plan.steps):
                return f"{plan.id}: its copy goes on, and keeps its throttle"
            return self._throttles.lift(plan)
        except CollectError as error:
            return f"{plan.id}: its throttle waits: {error}"

    def verify(
        self,
        plan: Plan | str,
        confirm: Confirm,
        *,
        alarms: Callable[[], Collection[str]] = tuple,
        measure: Callable[[], Outlook | None] = lambda: None,
    ) -> Plan:
        """Waits until every risk is gone on samples newer than the last step, and nothing new and grave is open."""
        found = self._load(plan)
        self._must_be_here(found)
        self._must_be(found, "verifying")
        if other := self._replaced(found):
            return self._end(found, "failed", f"not verified: {other}")
        since = self.journal.last_change(found) or found.created_at
        deadline = self._clock.monotonic() + self.settings.verify_timeout_s
        while True:
            answers = {risk: confirm(risk, since) for risk in found.risks}
            if all(answer is True for answer in answers.values()) or self._clock.monotonic() >= deadline:
                break
            self._clock.sleep(max(self.settings.poll_s, 0.25))
        start = self.journal.marked(found.id, "start") or {}
        new = sorted(set(alarms()) - set(start.get("alarms", ())) - set(found.risks))
        problem = _problem(answers, new, self.settings.verify_timeout_s)
        with self._lock:
            found = replace(found, measured=measure())
            if not problem:
                return self._end(found, "verified", "every risk it answers is gone on fresh samples")
            failed = self._end(found, "failed", f"{problem}: roll it back, or look closer")
        return self.rollback(failed, "agent", problem) if self.settings.auto_rollback else failed

    def ask_back(self, plan: Plan | str, by: str) -> Plan:
        """Says that a plan is to be taken back, which `rollback` does; NotAllowed where it would not."""
        with self._alone():
            found = self._load(plan)
            self._must_be_here(found)
            self._must_be(found, "verified", "failed", "verifying")
            stopped(self.settings)
            self._must_be_the_same(found)
            # Whoever waits for the outcome must not take an old one for it.
            return self.journal.save(replace(found, outcome=f"{by} asked to take it back"))

    def rollback(self, plan: Plan | str, by: str, note: str = "") -> Plan:
        """Takes back every step, last first, to the exact pre-image; the cluster is read to prove it."""
        with self._lock:
            found = self._load(plan)
            self._must_be_here(found)
            self._must_be(found, "verified", "failed", "verifying")
            stopped(self.settings)
            self._must_be_the_same(found)
            self.journal.audit("rolling back", found, by, note)
            self.journal.mark(found.id, "rollback", {"at": timestamp(self._clock.now()), "by": by, "ended": False})
            return self._undo_all(found)

    # Inside

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The lock, or NotAllowed while another plan holds it: nothing that a person waits for takes hours."""
        if not self._lock.acquire(timeout=self.settings.patience_s):
            running = ", ".join(plan.id for plan in self.journal.plans() if plan.state == "executing") or "another plan"
            raise NotAllowed(f"{running} is being carried out, one plan at a time: decide this when it has ended")
        try:
            yield
        finally:
            self._lock.release()

    def _half_back(self, plan: Plan) -> bool:
        mark = self.journal.marked(plan.id, "rollback")
        return mark is not None and not mark["ended"]

    def _run(self, plan: Plan) -> Plan:
        for step in plan.steps:
            if step.state == "done":
                continue
            try:
                plan = self._runner.do(plan, step)
            except (StepFailed, NotAllowed, CollectError) as error:
                plan = with_step(self._load(plan), step, "failed")
                done = sum(s.state == "done" for s in plan.steps)
                return self._end(plan, "failed", f"{error}; {done} of {len(plan.steps)} steps are done: roll it back")
        return self._end(plan, "verifying", "every step is done; waiting for fresh samples")

    def _undo_all(self, plan: Plan) -> Plan:
        problems = []
        for step in reversed(plan.steps):
            if step.state in ("pending", "undone"):
                continue
            try:
                plan = self._runner.undo(plan, step)
            except (StepFailed, NotAllowed, CollectError) as error:
                plan = self._load(plan)
                problems.append(str(error))
        problems = problems or self._lasting_differences(plan)
        if problems:
            plan = self._end(plan, "failed", f"{NOT_BACK}: " + "; ".join(problems))
        else:
            plan = self._end(plan, "rolled_back", "the cluster is as it was before: read back and equal")
        # Last: a crash before this line repeats only the readings.
        self.journal.mark(plan.id, "rollback", {**(self.journal.marked(plan.id, "rollback") or {}), "ended": True})
        return plan

    def _lasting_differences(self, plan: Plan) -> list[str]:
        """The differences that stay: each broker learns of a change in its own time, and any of them may answer."""
        for _ in range(LOOKS_BACK):
            if not (problems := self._differences(plan)):
                break
            self._clock.sleep(self.settings.poll_s)
        return problems

    def _differences(self, plan: Plan) -> list[str]:
        """What is not as it was before the plan, for the steps that were taken back."""
        undone = [step for step in plan.steps if step.state == "undone" and step.undo is not None]
        images = [(step, ACTIONS[step.action].image(self._admin, step.params)) for step in undone]
        return [
            f"{step.target} is {image}"
            for step, image in images
            if step.undo is not None and not ACTIONS[step.action].reached(image, step.undo)
        ]

    def _check_state(self, plan: Plan) -> None:
        topology = self._topology(plan)
        if other := other_cluster(plan, topology):
            raise NotAllowed(other)
        if hash_without(plan, topology) != plan.state_hash:
            raise NotAllowed(
                f"{plan.id}: the assignment or the live brokers changed since it was made: propose it again"
            )

    def _rehearse(self, plan: Plan) -> str:
        try:
            may_start(
                replace(plan, state="approved", approvals=plan.approvals),
                self.settings,
                self.journal,
                self._clock.now(),
            )
            self._check_state(plan)
        except ActError as error:
            return f"dry run: nothing would be done: {error}"
        steps = "; ".join(f"{step.n}. {step.action} {step.target}" for step in plan.steps)
        return f"dry run: {len(plan.steps)} steps would be taken: {steps}"

    def _end(self, plan: Plan, state: PlanState, outcome: str) -> Plan:
        plan = replace(plan, state=state, outcome=outcome)
        measured = None if plan.measured is None else to_json(plan.measured)
        self.journal.audit(state, plan, "agent", outcome, steps={str(s.n): s.state for s in plan.steps}, after=measured)
        return self.journal.save(plan)

    def _load(self, plan: Plan | str) -> Plan:
        id = plan if isinstance(plan, str) else plan.id
        found = self.journal.plan(id)
        if found is None:
            raise NotAllowed(f"there is no plan {id}: list them with `streampilot plan`")
        return found

    def _must_be_here(self, plan: Plan) -> None:
        if plan.cluster != self._cluster:
            raise NotAllowed(f"{plan.id} was made for the cluster {plan.cluster}, this is {self._cluster}: plan anew")

    def _must_be_the_same(self, plan: Plan) -> str:
        """The Kafka id of the cluster that answers; NotAllowed where it is not the plan's, or nobody answers."""
        topology = self._topology(plan)
        if other := other_cluster(plan, topology):
            raise NotAllowed(other)
        return topology.cluster_id or ""

    def _topology(self, plan: Plan) -> Topology:
        try:
            return self._admin.topology()
        except CollectError as error:
            raise NotAllowed(f"{plan.id}: the cluster cannot be read: {error}") from error

    def _replaced(self, plan: Plan) -> str:
        """What `other_cluster` says; empty while nobody answers."""
        try:
            return other_cluster(plan, self._admin.topology())
        except CollectError:
            return ""

    def _must_be(self, plan: Plan, *states: PlanState) -> None:
        if plan.state not in states:
            raise NotAllowed(f"{plan.id} is {plan.state}: this needs it to be {' or '.join(states)}")


def _problem(answers: dict[str, bool | None], new: list[str], timeout_s: float) -> str:
    """Why the verification failed; empty where it did not."""
    if new:
        return f"new since the plan ran: {', '.join(new)}"
    still = [risk for risk, answer in answers.items() if answer is False]
    unknown = [risk for risk, answer in answers.items() if answer is None]
    if still:
        return f"still true {timeout_s:g} s after the last step: {', '.join(still)}"
    return f"not enough fresh samples within {timeout_s:g} s for {', '.join(unknown)}" if unknown else ""
