"""One step, forwards or back: read, compare, write it down, call, and watch until the cluster shows it.

Laws:
1. The cluster decides whether a step is done, never a memory of having called.
2. A journal entry is durable before each call; a step found done gets one too.
3. A step starts only from its exact pre-image; a change that someone else is making, or has made, is left alone.
4. A call whose answer was lost is not repeated while the cluster shows it done or under way.
5. While the cluster says that a change is under way it is waited for, for hours: copying a partition takes that long.
6. A cluster with another Kafka id than the plan's is neither believed nor called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.act.actions import ACTIONS, Action, Values
from agent.act.cluster import Admin, hash_without, other_cluster
from agent.act.errors import StepFailed
from agent.act.guard import ActSettings, stopped
from agent.act.journal import Direction, Journal
from agent.collect.errors import CollectError, NotAllowed, NotOffered
from agent.model.clock import Clock
from agent.model.plan import Plan, Step, StepState

NUDGE_AFTER_POLLS = 3
POLLS = 50
MOST_POLL_S = 5.0
"""Each look reads the whole topology: the longer a change takes, the less often it is looked at."""


class StepRunner:
    def __init__(self, admin: Admin, journal: Journal, clock: Clock, settings: ActSettings) -> None:
        self._admin = admin
        self._journal = journal
        self._clock = clock
        self._settings = settings

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
        if other := other_cluster(plan, self._admin.topology()):
            raise StepFailed(f"step {step.n}: {other}")
        running = action.under_way(self._admin, wanted)
        image = action.image(self._admin, wanted)
        if running and direction == "undo":
            plan = self._call(plan, step, direction, "cancel", image)
            self._attempt(action.cancel, wanted)
            running, image = action.under_way(self._admin, wanted), action.image(self._admin, wanted)
        if action.reached(image, wanted) and not running:
            self._journal.note(plan, step, direction, "found done")
            return self._settle(plan, step, direction)
        if not (running and self._journal.called(plan, step, direction)):
            if running:
                raise StepFailed(f"step {step.n}: another reassignment of {step.target} is under way")
            self._check_origin(plan, step, direction, action, image, origin)
            stopped(self._settings)
            plan = self._call(plan, step, direction, "start", image)
            self._attempt(action.start, wanted)
        self._wait(plan, step, direction, action, wanted)
        self._journal.note(plan, step, direction, "done")
        return self._settle(plan, step, direction)

    def _check_origin(
        self, plan: Plan, step: Step, direction: Direction, action: Action, image: Values, origin: Values
    ) -> None:
        if direction == "do":
            if image != origin:
                raise StepFailed(f"step {step.n}: {step.target} is not as it was when the plan was made: {dict(image)}")
            if hash_without(plan, self._admin.topology()) != plan.state_hash:
                raise StepFailed(f"step {step.n}: the assignment or the live brokers changed since the plan was made")
            return
        half_done = {"replicas": image.get("replicas"), "value": image.get("value")}
        ours = [
            {"replicas": side.get("replicas"), "value": side.get("value")} for side in (step.params, step.pre_image)
        ]
        if half_done not in ours:
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
        began = self._clock.monotonic()
        deadline = began + self._settings.step_timeout_s
        polls, nudged = 0, False
        while True:
            running, image = action.under_way(self._admin, wanted), action.image(self._admin, wanted)
            if action.reached(image, wanted) and not running:
                return
            if running:
                still = self._clock.monotonic() + self._settings.step_timeout_s
                deadline = min(still, began + self._settings.move_timeout_s)
            polls += 1
            if polls > NUDGE_AFTER_POLLS and not running and not nudged:
                self._journal.before_call(plan, step, direction, "nudge", image)
                nudged = action.nudge(self._admin, image, wanted)
            if self._clock.monotonic() >= deadline:
                spent = f"{step.target} did not get there within {self._clock.monotonic() - began:.0f} s"
                going = "; the cluster is still at it, and a rollback ends that" if running else ""
                raise StepFailed(f"step {step.n}: {spent}: {image}{going}")
            slower = (self._clock.monotonic() - began) / POLLS
            self._clock.sleep(min(max(slower, self._settings.poll_s), MOST_POLL_S))

    def _settle(self, plan: Plan, step: Step, direction: Direction) -> Plan:
        return self._journal.save(with_step(plan, step, "done" if direction == "do" else "undone"))


def with_step(plan: Plan, step: Step, state: StepState) -> Plan:
    """The plan with one step in another state."""
    return replace(plan, steps=tuple(replace(s, state=state) if s.n == step.n else s for s in plan.steps))
