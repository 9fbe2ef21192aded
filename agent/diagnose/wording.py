"""Rows of a verdict as findings, and in words short enough for a list; `agent.explain` has the long ones."""

from __future__ import annotations

import hashlib
from datetime import datetime

from agent.model.finding import Evidence, Finding, Silence
from rules.engine import Row, Verdict
from rules.page import RulePage

ESTIMATED = 0.7
"""Confidence in a finding that rests on estimated rows."""


def finding(page: RulePage, row: Row, verdict: Verdict, at: datetime) -> Finding:
    """The row as a finding, its evidence with it: the page's own columns first, then the views it read."""
    views = tuple(
        Evidence(view=view, query_hash=verdict.query_hash, as_of=at, rows=tuple(dict(seen) for seen in rows))
        for view, rows in row.views.items()
        if rows
    )
    estimated = any(seen.get("basis") == "estimated" for rows in row.views.values() for seen in rows)
    return Finding(
        id=mark(page.id, row.resource, at),
        rule=page.id,
        resource=row.resource,
        at=at,
        observed=row.observed,
        limit=row.limit,
        unit=page.unit,
        score=row.score,
        confidence=ESTIMATED if estimated else 1.0,
        usd_per_month=row.usd_per_month,
        money_basis=money_basis(page, row),
        params=dict(row.params),
        evidence=(
            Evidence(
                view=f"rule {page.id}",
                query_hash=verdict.query_hash,
                as_of=at,
                rows=({"resource": row.resource, **row.evidence},),
            ),
            *views,
        ),
    )


def money_basis(page: RulePage, row: Row) -> str:
    """Which prices the money rests on, or why there is none."""
    if row.usd_per_month is None:
        return f"{page.id} puts no price on it"
    prices = [f"{name} = {page.thresholds[name].value:g}" for name in sorted(page.thresholds) if _is_price(page, name)]
    return f"prices of the page: {', '.join(prices)}" if prices else "the meter of the agent"


def _is_price(page: RulePage, name: str) -> bool:
    return name.startswith("usd_per_") and name != "usd_per_day" and not isinstance(page.thresholds[name].value, str)


def mark(*what: object) -> str:
    """Twelve hexadecimal digits that stand for these values."""
    return hashlib.sha256("\n".join(str(value) for value in what).encode()).hexdigest()[:12]


def sentence(page: RulePage, found: Finding) -> str:
    """ "One broker carries more ...: demo/broker/0 is at 1.9 times the mean, the limit is 1.25."."""
    if found.observed is None or found.limit is None:
        return f"{page.title}: {found.resource}."
    numbers = f"{amount(found.observed)} {page.unit}, the limit is {amount(found.limit)}"
    return f"{page.title}: {found.resource} is at {numbers}."


def silence(page: RulePage, verdict: Verdict, hits: int, held_back: str | None = None) -> Silence:
    """Why the page says nothing, from the resource that came nearest. `hits`: of the looks that count, its firings."""
    if verdict.silent_reason is not None:
        return Silence(rule=page.id, reason=verdict.silent_reason, nearest=None, score=None)
    nearest = max(verdict.rows, key=lambda row: (bool(row.fired), row.score), default=None)
    if nearest is None:
        return Silence(rule=page.id, reason=f"no {page.scope} to look at", nearest=None, score=None)
    if held_back:
        reason = held_back
    elif nearest.fired:
        reason = f"{nearest.resource} is over the limit in {hits} of the {page.persist.hits} looks it takes"
    elif nearest.fired is None and nearest.observed is None:
        reason = f"not enough is known of {nearest.resource}"
    elif nearest.observed is None or nearest.limit is None:
        reason = f"nothing near; {len(verdict.rows)} looked at"
    else:
        numbers = f"{amount(nearest.observed)} {page.unit}, the limit is {amount(nearest.limit)}"
        reason = f"nearest is {nearest.resource}: {numbers}{_guard(page) if nearest.score >= 1 else ''}"
    over = bool(held_back or nearest.fired)
    return Silence(rule=page.id, reason=reason, nearest=nearest.resource, score=nearest.score, over=over)


def _guard(page: RulePage) -> str:
    """What to add when a resource is over the limit and the page still holds back: its floors, and where to read on."""
    floors = [
        f"{name} = {amount(float(threshold.value))}"
        for name, threshold in page.thresholds.items()
        if name.startswith("floor") and isinstance(threshold.value, int | float)
    ]
    return f"; a guard holds it back ({', '.join(floors) or 'see the page'}): streampilot rules show {page.id}"


def amount(value: float) -> str:
    """A number as a person writes it: three figures, thousands apart."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
