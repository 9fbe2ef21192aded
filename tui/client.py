"""The agent, over HTTP. Every failure becomes one `Unreachable` or `Declined`, with the words to show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from agent.model.codec import from_json
from agent.model.finding import Risk, Silence
from agent.model.plan import Plan

TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 120.0


class Unreachable(Exception):
    """No agent answers; it may come back."""


class Declined(Exception):
    """The agent answered, and said no."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """All that the screens show, read together."""

    status: dict[str, Any]
    overview: dict[str, Any]
    risks: tuple[Risk, ...]
    silences: tuple[Silence, ...]
    plans: tuple[Plan, ...]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the cost screen shows."""

    by: str
    now: dict[str, Any]
    """`/api/cost`, counted that way."""
    month: tuple[dict[str, Any], ...]
    """What was metered since the first of the month, UTC, in stretches of an hour or more."""
    bill: dict[str, Any] | None
    no_bill: str
    """Why there is none."""


class Client:
    """One agent."""

    def __init__(self, address: str, token: str, cluster: str = "") -> None:
        self.address = address.rstrip("/")
        self.cluster = cluster
        """The one that is shown; empty while the agent watches one, or has not said which there are."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(base_url=self.address, headers=headers, timeout=TIMEOUT_S)

    async def picture(self) -> Picture:
        """Everything, once."""
        status = await self._get("/api/status")
        if not self.cluster and len(status["clusters"]) > 1:
            self.cluster = str(status["clusters"][0])
            status = await self._get("/api/status")
        overview = await self._get("/api/overview")
        try:
            return Picture(
                status=status,
                overview=overview,
                risks=tuple(from_json(Risk, item) for item in await self._get("/api/findings")),
                silences=tuple(from_json(Silence, item) for item in await self._get("/api/silences")),
                plans=tuple(from_json(Plan, item) for item in await self._get("/api/plans")),
            )
        except ValueError as error:
            raise Unreachable(f"{self.address} speaks another version: {error}") from error

    async def costs(self, by: str, now: datetime) -> Costs:
        """Money by one way of counting. `now` is the agent's clock, by which the month begins."""
        first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        asked = {"by": by, "since_s": str(max(1.0, (now - first).total_seconds()))}
        bill, no_bill = None, ""
        try:
            found = await self._get("/api/cost", **asked, bill="true")
            bill = found["bill"]
        except Declined as no:
            found = await self._get("/api/cost", **asked)
            no_bill = str(no)
        month = tuple(point for point in found["history"] if datetime.fromisoformat(point["until"]) > first)
        return Costs(by=by, now=found, month=month, bill=bill, no_bill=no_bill)

    async def decide(self, plan: str, decision: str, person: str) -> None:
        """`approve`, `reject` or `rollback`."""
        await self._call("POST", f"/api/plans/{plan}/{decision}", {"by": person, "note": f"{decision} in the TUI"})

    async def propose(self, risk: str) -> dict[str, Any]:
        """Plans for one risk, and the refusals."""
        found: dict[str, Any] = await self._call("POST", "/api/plans", {"risk": risk}, ANSWER_TIMEOUT_S)
        return found

    async def ask(self, question: str) -> dict[str, Any]:
        """An answer with its citations."""
        asked = {"question": question, **({"cluster": self.cluster} if self.cluster else {})}
        found: dict[str, Any] = await self._call("POST", "/api/ask", asked, ANSWER_TIMEOUT_S)
        return found

    async def close(self) -> None:
        await self._http.aclose()

    async def _get(self, path: str, **query: str) -> Any:
        """Of the cluster that is shown."""
        return await self._call("GET", path, query={**query, **({"cluster": self.cluster} if self.cluster else {})})

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
        query: dict[str, str] | None = None,
    ) -> Any:
        try:
            answer = await self._http.request(method, path, json=body, params=query, timeout=timeout_s)
            data = answer.json()
        except httpx.TimeoutException:
            raise Unreachable(f"{self.address} did not answer within {timeout_s:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unreachable(f"no agent answers at {self.address} ({error})") from None
        if answer.is_error:
            problem = data.get("error", {}) if isinstance(data, dict) else {}
            said = problem.get("what", f"the agent answered {answer.status_code}")
            raise Declined(f"{said}; {problem['next']}" if problem.get("next") else str(said))
        return data
