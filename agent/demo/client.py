"""The agent as any client sees it: its HTTP API, its shapes, its token file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from agent.demo.errors import AgentRefused
from agent.model.codec import from_json
from agent.model.finding import Risk
from agent.model.plan import Plan, Refusal

TIMEOUT_S = 15.0
PLAN_TIMEOUT_S = 60.0


class AgentClient:
    """One agent on loopback."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._http = httpx.Client(base_url=self.address, timeout=TIMEOUT_S, trust_env=False)
        token_file = self.status().get("token_file")
        if isinstance(token_file, str):
            self._http.headers["Authorization"] = f"Bearer {Path(token_file).read_text('utf-8').strip()}"

    def close(self) -> None:
        self._http.close()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", "/api/status")
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The pages that the agent runs, with their durations."""
        found: list[dict[str, Any]] = self._call("GET", "/api/rules")
        return found

    def risks(self) -> list[Risk]:
        """All risks, those that have passed too."""
        return [from_json(Risk, item) for item in self._call("GET", "/api/findings", params={"all": "1"})]

    def propose(self) -> tuple[list[Plan], list[Refusal]]:
        """Plans for the open risks, and why there is none for the others."""
        answer = self._call("POST", "/api/plans", json={}, timeout=PLAN_TIMEOUT_S)
        plans = [from_json(Plan, item) for item in answer["plans"]]
        return plans, [from_json(Refusal, item) for item in answer["refusals"]]

    def plans(self) -> list[Plan]:
        return [from_json(Plan, item) for item in self._call("GET", "/api/plans")]

    def plan(self, plan_id: str) -> Plan:
        return from_json(Plan, self._call("GET", f"/api/plans/{plan_id}"))

    def approve(self, plan_id: str) -> None:
        self._call("POST", f"/api/plans/{plan_id}/approve", json={"note": "approved by the demo"})

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._http.request(method, path, **arguments)
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise AgentRefused(
                f"the agent did not answer {method} {path}: {error}", "see the lines of the cluster"
            ) from error
        if answer.is_error:
            error_body = body.get("error", {}) if isinstance(body, dict) else {}
            what, next_step = (
                error_body.get("what", answer.status_code),
                error_body.get("next", "see the lines of the cluster"),
            )
            raise AgentRefused(f"the agent refused {method} {path}: {what}", str(next_step))
        return body
