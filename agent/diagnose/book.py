"""The risks that are remembered: opened once, updated while they last, resolved, and kept in `state.sqlite`.

A risk that changes its state is written at once; one that only goes on is written once a minute, because each write
is a sync of the disk and nothing but its count would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from agent.diagnose.wording import mark, sentence
from agent.model.codec import from_json, to_json
from agent.model.finding import Finding, Risk
from agent.model.resource import parts
from agent.model.ward import Ward
from agent.store.state import State
from rules.page import RulePage

KIND = "risks"
KEPT_RESOLVED = 500
WRITE_EVERY = timedelta(minutes=1)


class Book:
    """Every risk of one cluster by id. At most one unresolved risk for a rule and a resource."""

    def __init__(self, state: State, ward: Ward) -> None:
        self._state = state
        self._cluster = ward.cluster
        self._risks: dict[str, Risk] = {}
        self._written: dict[str, tuple[str, str | None, datetime]] = {}
        for id, body in state.all(KIND).items():
            home = body.get("cluster") or parts(body["resource"])[0]
            if ward.holds(home):
                self._risks[id] = replace(from_json(Risk, body), cluster=home)
        self._live = {(risk.rule, risk.resource): risk.id for risk in self._risks.values() if risk.state != "resolved"}

    def all(self) -> list[Risk]:
        """Worst first, resolved ones last, newest first among equals."""
        newest = sorted(self._risks.values(), key=lambda risk: risk.last_seen, reverse=True)
        return sorted(newest, key=lambda risk: (risk.state == "resolved", risk.level, -risk.latest.score))

    def live(self) -> list[Risk]:
        return [self._risks[id] for id in self._live.values()]

    def of(self, rule: str, resource: str) -> Risk | None:
        """The unresolved risk, if there is one."""
        id = self._live.get((rule, resource))
        return self._risks[id] if id else None

    def watched(self, rule: str) -> list[str]:
        """Resources with an unresolved risk of the rule."""
        return [resource for known, resource in self._live if known == rule]

    def open(self, page: RulePage, found: Finding) -> Risk:
        risk = Risk(
            id=f"{page.id}-{mark(page.id, found.resource, found.at)}",
            cluster=self._cluster,
            rule=page.id,
            title=page.title,
            resource=found.resource,
            level=page.level,  # type: ignore[arg-type]  # the page's schema allows P0, P1 and P2 only
            state="open",
            first_seen=found.at,
            last_seen=found.at,
            count=1,
            caused_by=None,
            action=page.action,
            snapshot=found,
            latest=found,
            explanation=sentence(page, found),
        )
        self._risks[risk.id] = risk
        self._live[(risk.rule, risk.resource)] = risk.id
        return risk

    def seen_again(self, risk: Risk, page: RulePage, found: Finding) -> Risk:
        return self.put(
            replace(risk, last_seen=found.at, count=risk.count + 1, latest=found, explanation=sentence(page, found))
        )

    def resolve(self, risk: Risk) -> Risk:
        self._live.pop((risk.rule, risk.resource), None)
        return self.put(replace(risk, state="resolved", caused_by=None))

    def put(self, risk: Risk) -> Risk:
        self._risks[risk.id] = risk
        return risk

    def save(self, at: datetime) -> None:
        """Writes what is worth a sync, in one transaction, and forgets the oldest of too many resolved risks."""
        due = {risk.id: to_json(risk) for risk in self._risks.values() if self._is_due(risk, at)}
        if due:
            self._state.put_many(KIND, due)
        for id in due:
            risk = self._risks[id]
            self._written[id] = (risk.state, risk.caused_by, at)
        self._forget(risk for risk in self._risks.values() if risk.state == "resolved")

    def _is_due(self, risk: Risk, at: datetime) -> bool:
        written = self._written.get(risk.id)
        if written is None:
            return True
        changed = written[:2] != (risk.state, risk.caused_by)
        return changed or (risk.state != "resolved" and risk.last_seen > written[2] and at - written[2] >= WRITE_EVERY)

    def _forget(self, resolved: Iterable[Risk]) -> None:
        oldest_first = sorted(resolved, key=lambda risk: risk.last_seen)
        for risk in oldest_first[: max(len(oldest_first) - KEPT_RESOLVED, 0)]:
            self._state.delete(KIND, risk.id)
            del self._risks[risk.id]
