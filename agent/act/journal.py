"""What was about to be done, written down before it is done.

Laws:
1. An entry is durable (state.sqlite, synced) before the call it speaks of. If it cannot be written, nothing is called.
2. Entries are never removed. A restart reads them, then the cluster, and the cluster decides.
3. Whatever changes a plan also appends to the audit chain: who, why, evidence, before, after.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from agent.model.clock import Clock
from agent.model.codec import from_json, timestamp, to_json
from agent.model.plan import Plan, Step
from agent.model.ward import Ward

Direction = Literal["do", "undo"]


class Keeper(Protocol):
    """What lasts: `agent.store.state.State`."""

    def put(self, kind: str, id: str, body: Any) -> None: ...

    def get(self, kind: str, id: str) -> Any | None: ...

    def all(self, kind: str) -> dict[str, Any]: ...

    def append_audit(self, entry: dict[str, Any]) -> int: ...

    def verify_audit(self) -> str | None: ...


class Journal:
    """The plans of one cluster, their step entries and the audit, in the agent's one state file."""

    def __init__(self, keeper: Keeper, clock: Clock, ward: Ward) -> None:
        self._keeper = keeper
        self._clock = clock
        self._ward = ward

    def save(self, plan: Plan) -> Plan:
        self._keeper.put("plans", plan.id, to_json(plan))
        return plan

    def plan(self, id: str) -> Plan | None:
        body = self._keeper.get("plans", id)
        return from_json(Plan, body) if body is not None and self._ward.holds(body["cluster"]) else None

    def plans(self) -> list[Plan]:
        bodies = self._keeper.all("plans").values()
        return [from_json(Plan, body) for body in bodies if self._ward.holds(body["cluster"])]

    def before_call(self, plan: Plan, step: Step, direction: Direction, call: str, image: dict[str, Any]) -> None:
        """The entry that must exist before `call` is made."""
        wanted = step.params if direction == "do" else step.undo
        self._write(plan, step, direction, {"call": call, "before": image, "after": wanted})

    def note(self, plan: Plan, step: Step, direction: Direction, outcome: str, detail: str = "") -> None:
        """How it came out; a step that needed no call gets its entry here."""
        self._write(plan, step, direction, {"outcome": outcome, "detail": detail})

    def entries(self, plan: str) -> list[dict[str, Any]]:
        """Everything written about a plan's steps, oldest first."""
        return [body for id, body in self._keeper.all("journal").items() if id.startswith(f"{plan}/")]

    def called(self, plan: Plan, step: Step, direction: Direction) -> bool:
        """Whether a call of this step was ever announced."""
        return any(
            entry["step"] == step.n and entry["direction"] == direction and "call" in entry
            for entry in self.entries(plan.id)
        )

    def cancelled(self, plan: Plan, step: Step) -> bool:
        """Whether a change of this step was cancelled, on its way forth or back."""
        return any(entry["step"] == step.n and entry.get("call") == "cancel" for entry in self.entries(plan.id))

    def last_change(self, plan: Plan) -> datetime | None:
        """When the last step of the plan came out."""
        times = [entry["at"] for entry in self.entries(plan.id) if "outcome" in entry]
        return datetime.fromisoformat(max(times)) if times else None

    def mark(self, plan: str, name: str, body: Any) -> None:
        """Keeps something about a plan's run that is not a step."""
        self._keeper.put("runs", f"{plan}/{name}", body)

    def marked(self, plan: str, name: str) -> Any | None:
        return self._keeper.get("runs", f"{plan}/{name}")

    def marks(self, name: str) -> dict[str, Any]:
        """Plan to what was kept under `name`, of all plans."""
        bodies = self._keeper.all("runs").items()
        return {id.removesuffix(f"/{name}"): body for id, body in bodies if id.endswith(f"/{name}")}

    def started_within(self, period: timedelta) -> int:
        """How many of this cluster's plans began to execute in the last `period`."""
        since = self._clock.now() - period
        starts = {
            id.removesuffix("/start"): body["at"] for id, body in self._keeper.all("runs").items() if "/start" in id
        }
        recent = [plan for plan, at in starts.items() if datetime.fromisoformat(at) > since]
        return sum(self.plan(plan) is not None for plan in recent)

    def audit(self, what: str, plan: Plan, by: str, why: str, **more: Any) -> int:
        """Appends to the chain; evidence is named by the risks' ids, whose rows are kept with the risks."""
        entry = {"at": timestamp(self._clock.now()), "what": what, "plan": plan.id, "by": by, "why": why}
        where = {"cluster": plan.cluster, "cluster_id": plan.cluster_id}
        return self._keeper.append_audit({**entry, **where, "evidence": list(plan.risks), **more})

    def _write(self, plan: Plan, step: Step, direction: Direction, body: dict[str, Any]) -> None:
        number = len(self.entries(plan.id)) + 1
        head = {"plan": plan.id, "step": step.n, "direction": direction, "action": step.action, "target": step.target}
        at = timestamp(self._clock.now())
        self._keeper.put("journal", f"{plan.id}/{number:06}", {**head, "at": at, **body})


def verify_audit(keeper: Keeper) -> str | None:
    """None when no audit entry was changed, lost or added; else the first problem in words."""
    return keeper.verify_audit()
