"""One step, forwards or back: read, compare, write it down, call, and watch until the cluster shows it.

Laws:
1. The cluster decides whether a step is done, never a memory of having called.
2. A journal entry is durable before each call; a step found done gets one too.
3. A step starts only from its exact pre-image; a change that someone else is making, or has made, is left alone.
4. A call whose answer was lost is not repeated while the cluster shows it done or under way.
5. While the cluster says that a change is under way it is waited for, as long as the copy grows: that may take hours.
   One that does not is cancelled, and so is the throttle it was given.
6. A cluster with another Kafka id than the plan's is neither believed nor called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from agent.act.actions import ACTIONS, Action, Progress, Values
from agent.act.cluster import Admin, hash_without, other_cluster
from agent.act.errors import StepFailed
from agent.act.guard import ActSettings, stopped
from agent.act.journal import Direction, Journal
from agent.act.throttle import Throttles
from agent.act.watching import Watch
from agent.collect.errors import ClusterUnreachable, CollectError, NotAllowed, NotOffered
from agent.model.clock import Clock
from agent.model.finding import Cell
from agent.model.plan import Plan, Step, StepState

log = logging.getLogger("streampilot.agent")

NUDGE_AFTER_POLLS = 3
NUDGE_EVERY_S = 10.0
POLLS = 50
MOST_POLL_S = 5.0
"""Each look reads the whole topology: the longer a change takes, the less often it is looked at."""

Read = TypeVar("Read")


class StepRunner:
    def __init__(self, admin: Admin, journal: Journal, clock: Clock, settings: ActSettings) -> None:
        self._admin = admin
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._throttles = Throttles(admin, journal)

    def do(self, plan: Plan, step: Step) -> Plan:
        """The plan with this step done; StepFailed with the plan's step left as it was found."""
        return self._run(plan, step, "do", step.params, step.pre_image)

    def undo(self, plan: Plan, step: Step) -> Plan:
        """The plan with this step undone; a step that the cluster never saw stays pending."""
        if step.undo is None:
            raise StepFailed(f"step {step.n} ({step.action} {step.target}) cannot be undone")
        return self._run(plan, step, "undo", step.undo, step.params)

    def _run(self, plan: Plan, step: Step, direction: Direction, wanted: Values, origin: Values) -> Plan:
        action = ACTIONS[step.action]
        running, image = self._answered(lambda: self._first_look(plan, step, action, wanted))
        if running and direction == "undo" and not self._goes_back(plan, step, action, wanted):
            plan = self._call(plan, step, direction, "cancel", image)
            self._attempt(action.cancel, wanted)
            running, image = self._stopped(plan, step, action, wanted)
        if action.reached(image, wanted) and not running:
            self._journal.note(plan, step, direction, "found done", self._throttles.lift(plan))
            return self._settle(plan, step, direction)
        ours = running and self._journal.called(plan, step, direction)
        if running and not ours:
            raise StepFailed(f"step {step.n}: another reassignment of {step.target} is under way")
        if not ours:
            self._answered(lambda: self._check_origin(plan, step, direction, action, image, origin))
            stopped(self._settings)
        try:
            if not ours:
                self._throttles.put(plan, step, wanted, action.holders(image))
                plan = self._call(plan, step, direction, "start", image)
                self._attempt(action.start, wanted)
            self._wait(plan, step, direction, action, wanted)
        except StepFailed as failure:
            raise StepFailed(f"{failure}{self._give_up(plan, step, direction, action, wanted)}") from failure
        self._journal.note(plan, step, direction, "done", self._throttles.lift(plan))
        return self._settle(plan, step, direction)

    def _goes_back(self, plan: Plan, step: Step, action: Action, wanted: Values) -> bool:
        """Whether what is running is this step's undoing, from before a restart: it is waited for, not cancelled."""
        return self._journal.called(plan, step, "undo") and action.heads_for(self._admin, wanted)

    def _stopped(self, plan: Plan, step: Step, action: Action, wanted: Values) -> tuple[bool, dict[str, Cell]]:
        """What there is once the cancelled change is gone: the cluster may take a moment."""
        deadline = self._clock.monotonic() + self._settings.step_timeout_s
        while True:
            running, image = self._answered(lambda: self._first_look(plan, step, action, wanted))
            if not running or self._clock.monotonic() >= deadline:
                return running, image
            self._clock.sleep(max(self._settings.poll_s, 0.25))

    def _first_look(self, plan: Plan, step: Step, action: Action, wanted: Values) -> tuple[bool, dict[str, Cell]]:
        """Whether a change is under way, and what there is."""
        if other := other_cluster(plan, self._admin.topology()):
            raise StepFailed(f"step {step.n}: {other}")
        return action.under_way(self._admin, wanted), action.image(self._admin, wanted)

    def _answered(self, read: Callable[[], Read]) -> Read:
        """What is read, once somebody answers: a broker that died a moment ago is no reason to fail."""
        deadline = self._clock.monotonic() + self._settings.step_timeout_s
        while True:
            try:
                return read()
            except ClusterUnreachable:
                if self._clock.monotonic() >= deadline:
                    raise
                self._clock.sleep(max(self._settings.poll_s, 0.25))

    def _give_up(self, plan: Plan, step: Step, direction: Direction, action: Action, wanted: Values) -> str:
        """A step that failed is not left running, and no throttle is left behind: in words, what was done about it."""
        try:
            running = action.under_way(self._admin, wanted) and self._journal.called(plan, step, direction)
            if running:
                self._journal.before_call(plan, step, direction, "cancel", action.image(self._admin, wanted))
                action.cancel(self._admin, wanted)
            words = "; it was cancelled, and the replicas stay as they were" if running else ""
            left = self._throttles.lift(plan)
            return f"{words}; {left}" if left else words
        except CollectError as error:
            return f"; it could not be cancelled ({error}), and goes on with its throttle"

    def _check_origin(
        self, plan: Plan, step: Step, direction: Direction, action: Action, image: Values, origin: Values
    ) -> None:
        if direction == "do":
            if image != origin:
                raise StepFailed(f"step {step.n}: {step.target} is not as it was when the plan was made: {dict(image)}")
            if hash_without(plan, self._admin.topology()) != plan.state_hash:
                raise StepFailed(f"step {step.n}: the assignment or the live brokers changed since the plan was made")
            return
        ordered = not self._journal.cancelled(plan, step)
        if _held(image, ordered) not in [_held(side, ordered) for side in (step.params, step.pre_image)]:
            raise StepFailed(f"step {step.n}: someone else has changed {step.target} since: {dict(image)}")

    def _call(self, plan: Plan, step: Step, direction: Direction, call: str, image: Values) -> Plan:
        self._journal.before_call(plan, step, direction, call, dict(image))
        return self._journal.save(with_step(plan, step, "journaled"))

    def _attempt(self, call: Callable[[Admin, Values], None], wanted: Values) -> None:
        """A call that got no answer may have worked: the cluster is asked, not the call repeated."""
        try:
            call(self._admin, wanted)
        except (NotAllowed, NotOffered) as error:
            raise StepFailed(f"the cluster refused: {error}") from error
        except CollectError:
            self._clock.sleep(self._settings.poll_s)

    def _wait(self, plan: Plan, step: Step, direction: Direction, action: Action, wanted: Values) -> None:
        watch = Watch(self._clock, self._settings)
        polls, nudged = 0, -NUDGE_EVERY_S
        while True:
            try:
                running, image = action.under_way(self._admin, wanted), action.image(self._admin, wanted)
                if action.reached(image, wanted) and not running:
                    return
                self._narrate(plan, step, watch, action.progress(self._admin, wanted) if watch.due(running) else None)
                watch.answered(running)
                polls += 1
                if polls > NUDGE_AFTER_POLLS and not running and watch.spent_s - nudged >= NUDGE_EVERY_S:
                    self._journal.before_call(plan, step, direction, "nudge", image)
                    action.nudge(self._admin, image, wanted)
                    nudged = watch.spent_s
            except CollectError as error:
                watch.silent(str(error))
            if why := watch.over(running=running if polls else False):
                raise StepFailed(f"step {step.n}: {step.target} did not get there within {watch.spent_s:.0f} s{why}")
            self._clock.sleep(min(max(watch.spent_s / POLLS, self._settings.poll_s), MOST_POLL_S))

    def _narrate(self, plan: Plan, step: Step, watch: Watch, progress: Progress | None) -> None:
        """Says how far a copy is, where people look for it."""
        if progress is not None and watch.told(progress):
            log.info("plan %s: step %d of %d: %s", plan.id, step.n, len(plan.steps), progress.text)
            self._journal.save(replace(plan, outcome=f"step {step.n} of {len(plan.steps)}: {progress.text}"))

    def _settle(self, plan: Plan, step: Step, direction: Direction) -> Plan:
        return self._journal.save(with_step(plan, step, "done" if direction == "do" else "undone"))


def _held(side: Values, ordered: bool) -> tuple[object, object]:
    """What a step changes; the order of replicas does not count where Kafka has forgotten it: it cancelled a move."""
    replicas = side.get("replicas")
    return replicas if ordered or not isinstance(replicas, list) else sorted(map(str, replicas)), side.get("value")


def with_step(plan: Plan, step: Step, state: StepState) -> Plan:
    """The plan with one step in another state."""
    return replace(plan, steps=tuple(replace(s, state=state) if s.n == step.n else s for s in plan.steps))
