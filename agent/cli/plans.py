"""`plan`, `apply`, `rollback`: look at a plan as a diff, approve it, take it back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

import typer

from agent.cli.complaint import COULD_NOT, FINDINGS, Complaint
from agent.cli.remote import DEFAULT_AGENT, AgentUrl, AsJson, Named, Remote, TokenFile
from agent.cli.show import put, put_json

SETTLED = frozenset({"verified", "failed", "rolled_back", "expired", "rejected"})
_POLL_S = 0.5
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the outcome; 0 returns at once.")]


def register(app: typer.Typer) -> None:
    """Adds `plan`, `apply` and `rollback`."""
    app.command("plan", help="What would fix the findings: the plans, or one as a diff.")(_plan)
    app.command("apply", help="Approve a plan: it runs, and is verified on fresh samples.")(_apply)
    app.command("rollback", help="Take a plan back, to the exact state from before.")(_rollback)


def _plan(
    plan: Annotated[str, typer.Argument(help="A plan or a finding; without one, every open finding is planned.")] = "",
    cluster: Named = "",
    agent: AgentUrl = DEFAULT_AGENT,
    token_file: TokenFile = "",
    as_json: AsJson = False,
) -> int:
    remote = Remote(agent, token_file)
    known = remote.get("/api/plans")
    if plan and any(found["id"] == plan for found in known):
        found = remote.get(f"/api/plans/{plan}")
        put_json(found) if as_json else put(_diff(found))
        return 0
    asked = {name: value for name, value in (("risk", plan), ("cluster", cluster)) if value}
    answer = Remote(agent, token_file, writes=True).post("/api/plans", asked, timeout_s=120.0)
    if as_json:
        put_json(answer)
        return 0
    for found in answer["plans"]:
        put(_diff(found) + "\n")
    for refusal in answer["refusals"]:
        put(f"no plan for {refusal['resource']} ({refusal['rule']}): {refusal['reason']}")
    if not answer["plans"] and not answer["refusals"]:
        put("nothing to plan: no open finding has an action that this agent may take")
    return 0


def _apply(
    plan: Annotated[str, typer.Argument(help="The plan's id.")],
    yes: Yes = False,
    wait: Wait = 600.0,
    agent: AgentUrl = DEFAULT_AGENT,
    token_file: TokenFile = "",
    as_json: AsJson = False,
) -> int:
    remote = Remote(agent, token_file, writes=True)
    found = remote.get(f"/api/plans/{plan}")
    sys.stderr.write(_diff(found) + "\n")
    _confirm(yes, f"Apply {plan}?")
    remote.post(f"/api/plans/{plan}/approve", {"note": "streampilot apply"})
    return _follow(remote, plan, wait, as_json, goal="verified")


def _rollback(
    plan: Annotated[str, typer.Argument(help="The plan's id.")],
    yes: Yes = False,
    wait: Wait = 600.0,
    agent: AgentUrl = DEFAULT_AGENT,
    token_file: TokenFile = "",
    as_json: AsJson = False,
) -> int:
    remote = Remote(agent, token_file, writes=True)
    found = remote.get(f"/api/plans/{plan}")
    sys.stderr.write(_diff(found, undo=True) + "\n")
    _confirm(yes, f"Roll {plan} back?")
    remote.post(f"/api/plans/{plan}/rollback", {"note": "streampilot rollback"})
    return _follow(remote, plan, wait, as_json, goal="rolled_back")


def _diff(plan: dict[str, Any], *, undo: bool = False) -> str:
    from agent.cli.diff import diff

    return diff(plan, undo=undo)


def _confirm(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Complaint("this changes the cluster and nobody is here to ask", "pass --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Complaint("not approved", "nothing was changed", FINDINGS)


def _follow(remote: Remote, plan: str, wait_s: float, as_json: bool, goal: str) -> int:
    """Narrates each new state until one that lasts; 0 when it is the one that was asked for."""
    seen = ""
    found: dict[str, Any] = {}

    def settled() -> bool:
        nonlocal seen, found
        found = remote.get(f"/api/plans/{plan}")
        done = sum(step["state"] in {"done", "undone"} for step in found["steps"])
        line = f"{plan}: {found['state']}, {done} of {len(found['steps'])} steps"
        if (found["state"] == "executing" or goal == "rolled_back") and found["outcome"]:
            line += f"; {found['outcome']}"
        if line != seen:
            sys.stderr.write(line + "\n")
            seen = line
        return _is_back(found) if goal == "rolled_back" else found["state"] in SETTLED

    finished = poll(settled, wait_s)
    if as_json:
        put_json(found)
    else:
        put(f"{plan} is {found['state']}: {found['outcome'] or 'no outcome yet'}")
    if not finished:
        return 0 if wait_s == 0 else COULD_NOT
    return 0 if found["state"] == goal else FINDINGS


def _is_back(plan: dict[str, Any]) -> bool:
    """Whether a rollback has ended: until then a plan keeps the state it had, which may be `failed`."""
    outcome = str(plan["outcome"])
    return plan["state"] == "rolled_back" or (plan["state"] == "failed" and outcome.startswith("not taken back"))


def poll(done: Callable[[], bool], wait_s: float) -> bool:
    """Asks `done` every half second for `wait_s` seconds."""
    pause = threading.Event()
    for _ in range(int(wait_s / _POLL_S) + 1):
        if done():
            return True
        if wait_s:
            pause.wait(_POLL_S)
    return False
