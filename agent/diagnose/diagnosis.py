"""The diagnosis: runs the pages that are due, and turns what they say into risks that a person can act on.

Laws:
1. One look is never a risk: a page's `persist` decides, and clearing takes as long as firing.
2. No data is not recovery: a risk stays as it is while nothing can be known about it.
3. A cause hides its consequences, and while a cause is suspected they wait: nobody is told of ten things for one.
4. A page that fails says so and is silent; the others go on.
5. Silence is explained: each rule that says nothing has a reason, with the resource that came nearest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent.diagnose import quiet, wording
from agent.diagnose.book import Book
from agent.diagnose.causes import Relations
from agent.diagnose.looks import Looks
from agent.model.clock import Clock
from agent.model.finding import Finding, Risk, RiskState, Silence
from agent.model.ward import Ward
from agent.store.state import State
from rules.catalogue import Catalogue, Overrides, check_overrides
from rules.engine import Row, Verdict, ViewSource, Workspace
from rules.errors import RuleError
from rules.page import RulePage
from rules.sandbox import Databases

log = logging.getLogger("streampilot.diagnose")

EARLY = 0.9
"""A page is due a tenth early: rounds come every few seconds, and a moment's jitter must not cost a whole look."""


@dataclass(frozen=True, kw_only=True)
class Round:
    at: datetime
    findings: tuple[Finding, ...]
    """Of the open and acknowledged risks: what is to be told."""
    risks: tuple[Risk, ...]
    """Every unresolved risk, hidden ones included, and those this round has resolved."""
    silences: tuple[Silence, ...]
    """Of every rule that tells nothing, in the order of rules."""


class Diagnosis:
    """The pages, what they have seen, and the risks that follow. Not thread-safe: one round at a time."""

    def __init__(
        self,
        catalogue: Catalogue,
        source: ViewSource,
        state: State,
        clock: Clock,
        time_scale: float = 1.0,
        overrides: Overrides | None = None,
        *,
        ward: Ward,
        mutes: Iterable[Mapping[str, Any]] = (),
        maintenances: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._pages = {page.id: page for page in catalogue}
        self._source = source
        self._state = state
        self._clock = clock
        self._scale = time_scale
        self._overrides = overrides or {}
        for rule, values in self._overrides.items():
            check_overrides(catalogue.get(rule), values)
        self._mutes = tuple(mutes)
        self._maintenances = tuple(maintenances)
        self._databases = Databases()
        self._looks = Looks()
        self._book = Book(state, ward)
        self._looked_at: dict[str, datetime] = {}
        self._silences: dict[str, Silence] = {}

    # What others ask

    def round(self, at: datetime | None = None) -> Round:
        """Runs what is due at `at` (now, where nobody says), and says what follows."""
        at = at or self._clock.now()
        # A page that was disabled or removed can never clear its own risks.
        resolved = [self._book.resolve(risk) for risk in self._book.live() if risk.rule not in self._pages]
        with Workspace(self._source, at, databases=self._databases) as workspace:
            verdicts = {page.id: self._look(page, workspace) for page in self._pages.values() if self._is_due(page, at)}
            for rule, verdict in verdicts.items():
                if verdict is not None and verdict.silent_reason is None:
                    self._remember(self._pages[rule], verdict, at)
            for rule, verdict in verdicts.items():
                if verdict is not None:
                    resolved += self._judge(self._pages[rule], verdict, workspace)
            self._sort_out(workspace, at)
        self._book.save(at)
        live = self._book.live()
        told = {risk.rule for risk in live if risk.state in ("open", "acknowledged")}
        return Round(
            at=at,
            findings=tuple(risk.latest for risk in live if risk.state in ("open", "acknowledged")),
            risks=(*live, *resolved),
            silences=tuple(self._silences[rule] for rule in sorted(self._silences) if rule not in told),
        )

    def risks(self) -> list[Risk]:
        """Every risk that is remembered, worst first, the resolved ones last."""
        return self._book.all()

    def suspected(self, rule: str, at: datetime) -> tuple[str, ...]:
        """Resources at which the rule fired at its last look, whether or not it has persisted."""
        page = self._pages.get(rule)
        if page is None:
            return ()
        patience = timedelta(seconds=2 * page.persist.of * page.every_s / self._scale)
        return tuple(self._looks.suspects(rule, at - patience))

    def acknowledge(self, id: str) -> Risk | None:
        """Somebody has seen it: it stays, and is told as such. None where there is no such open risk."""
        for risk in self._book.live():
            if risk.id == id and risk.state == "open":
                changed = self._book.put(replace(risk, state="acknowledged"))
                self._book.save(self._clock.now())
                return changed
        return None

    def confirm(self, risk: Risk, since: datetime) -> bool | None:
        """Whether the rule has been false for its `persist` on samples newer than `since`, whatever is muted.

        False while it fires on them; None while there are too few looks whose whole window is newer.
        """
        page = self._pages.get(risk.rule)
        if page is None:
            return None
        first_look = since + timedelta(seconds=page.window_s / self._scale)
        return self._looks.verdict_since((risk.rule, risk.resource), page.persist, first_look)

    # One page

    def _is_due(self, page: RulePage, at: datetime) -> bool:
        last = self._looked_at.get(page.id)
        return last is None or abs((at - last).total_seconds()) >= EARLY * page.every_s / self._scale

    def _look(self, page: RulePage, workspace: Workspace) -> Verdict | None:
        """The page's verdict; None where it failed, which its silence then says."""
        self._looked_at[page.id] = workspace.at
        try:
            thresholds = self._overrides.get(page.id)
            verdict = workspace.evaluate(page, thresholds=thresholds, time_scale=self._scale)
        except RuleError as error:
            self._fail(page, str(error))
            return None
        except Exception as error:
            # A source's mistake must not take the other pages with it; it is logged in full and said in short.
            log.exception("rule %s could not look", page.id)
            self._fail(page, f"{page.id}: {type(error).__name__}: {error}")
            return None
        if verdict.silent_reason is not None:
            self._silences[page.id] = wording.silence(page, verdict, 0)
        return verdict

    def _fail(self, page: RulePage, message: str) -> None:
        reason = f"the page {page.source} failed: {message}"
        self._silences[page.id] = Silence(rule=page.id, reason=reason, nearest=None, score=None)

    def _remember(self, page: RulePage, verdict: Verdict, at: datetime) -> None:
        self._looks.add(page.id, verdict, at, page.every_s / self._scale, self._book.watched(page.id))

    def _judge(self, page: RulePage, verdict: Verdict, workspace: Workspace) -> list[Risk]:
        """Opens, updates and resolves the page's risks; the resolved ones."""
        if verdict.silent_reason is not None:
            return []
        held_back = None
        for row in verdict.rows:
            if row.fired and self._looks.holds((page.id, row.resource), page.persist):
                held_back = self._fired(page, row, verdict, workspace) or held_back
        nearest = max(verdict.rows, key=lambda row: (bool(row.fired), row.score), default=None)
        hits = self._looks.hits((page.id, nearest.resource), page.persist) if nearest else 0
        self._silences[page.id] = wording.silence(page, verdict, hits, held_back)
        over = [risk for risk in self._book.live() if risk.rule == page.id]
        return [
            self._book.resolve(risk) for risk in over if self._looks.cleared((page.id, risk.resource), page.persist)
        ]

    def _fired(self, page: RulePage, row: Row, verdict: Verdict, workspace: Workspace) -> str | None:
        """Opens or updates a risk; a reason where it has to wait for a suspected cause."""
        found = wording.finding(page, row, verdict, workspace.at)
        risk = self._book.of(page.id, row.resource)
        if risk is not None:
            self._book.seen_again(risk, page, found)
            return None
        suspect = self._suspect(page, row.resource, workspace)
        if suspect is not None:
            return f"{row.resource} is over the limit, but {suspect} may be the cause; waiting to see"
        self._book.open(page, found)
        return None

    def _suspect(self, page: RulePage, resource: str, workspace: Workspace) -> str | None:
        """A cause that has fired and is not sure yet: the page's own risk waits for it to become so, or to pass."""
        relations = Relations(workspace, page.window_s / self._scale)
        for rule in page.explained_by.keys() & self._pages.keys():
            cause = self._pages[rule]
            patience = timedelta(seconds=2 * cause.persist.of * cause.every_s / self._scale)
            for place in self._looks.suspects(rule, workspace.at - patience):
                known = self._book.of(rule, place) is not None
                if not known and relations.related(page.explained_by[rule], place, resource):
                    return f"{rule} on {place}"
        return None

    # All risks together

    def _sort_out(self, workspace: Workspace, at: datetime) -> None:
        """Gives each unresolved risk its state: a consequence, under maintenance, muted, or to be told."""
        spoken = [
            *quiet.read(
                (*self._maintenances, *self._state.all("maintenances").values()),
                is_maintenance=True,
                time_scale=self._scale,
            ),
            *quiet.read((*self._mutes, *self._state.all("mutes").values()), is_maintenance=False),
        ]
        for risk in self._book.live():
            cause = self._cause(risk, workspace)
            state = _state(risk, cause, [one for one in spoken if one.covers(risk.rule, risk.resource, at)])
            changed = replace(risk, state=state, caused_by=cause.id if cause else None)
            if changed != risk:
                self._book.put(changed)

    def _cause(self, risk: Risk, workspace: Workspace) -> Risk | None:
        page = self._pages.get(risk.rule)
        if page is None or not page.explained_by:
            return None
        relations = Relations(workspace, page.window_s / self._scale)
        for rule, relation in page.explained_by.items():
            for other in self._book.live():
                if other.rule == rule and relations.related(relation, other.resource, risk.resource):
                    return other
        return None


def _state(risk: Risk, cause: Risk | None, spoken: list[quiet.Quiet]) -> RiskState:
    if cause is not None or any(one.is_maintenance for one in spoken):
        return "suppressed"
    if spoken:
        return "muted"
    return "acknowledged" if risk.state == "acknowledged" else "open"
