"""The meter held against the bill, on days that are closed and were watched.

A day is compared when the bill can no longer change (`Bill.closed_until`) and the meter watched nearly all of it: then
both describe the same hours. The result is USD an hour over those days, by component and resource, once for each
basis, so that rules compare two numbers and know no days.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from agent.billing.bill import Bill
from agent.billing.ledger import Ledger
from agent.store.usage import Settled

LEAST_WATCHED = 0.9
"""Of a day. What was watched stands for the rest of it."""
CURRENCY = "USD"
"""What price books are in. Rows in another currency are compared with nothing."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    days: tuple[date, ...]
    """Closed and watched, in order."""
    settled: tuple[Settled, ...]
    notes: tuple[str, ...]
    """Why a day is not compared."""


def compare(ledger: Ledger, bill: Bill | None, since: datetime, until: datetime) -> Comparison:
    """Both sides over the closed days of [since, until); without a bill or such a day, the meter alone."""
    wanted = _whole_days(since, until)
    closed_until = bill.closed_until(until) if bill is not None else None
    days, notes = [], []
    for day in wanted:
        watched = ledger.watched_share(day)
        if closed_until is None or day >= closed_until:
            notes.append(f"{day} is not closed: its bill is not complete yet")
        elif watched < LEAST_WATCHED:
            notes.append(f"{day} is not compared: the meter watched {24 * watched:.1f} of 24 hours")
        else:
            days.append(day)
    if bill is None or not days:
        return Comparison(days=(), settled=_metered(ledger, since, until), notes=tuple(notes))
    settled = [*_metered_days(ledger, days), *_billed(bill, days)]
    return Comparison(days=tuple(days), settled=tuple(settled), notes=tuple(notes))


def _whole_days(since: datetime, until: datetime) -> list[date]:
    first = since.astimezone(UTC).date()
    if since.astimezone(UTC) > datetime(first.year, first.month, first.day, tzinfo=UTC):
        first += timedelta(days=1)
    last = until.astimezone(UTC).date()
    return [first + timedelta(days=n) for n in range((last - first).days)]


def _metered(ledger: Ledger, since: datetime, until: datetime) -> tuple[Settled, ...]:
    hours = sum(hour.seconds for hour in ledger.watched(since, until)) / 3600
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for spent in ledger.spent(since, until):
        sums[spent.component, spent.resource] += spent.usd
    return _rows(sums, hours, "meter")


def _metered_days(ledger: Ledger, days: list[date]) -> tuple[Settled, ...]:
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for day in days:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        share = ledger.watched_share(day)
        for spent in ledger.spent(start, start + timedelta(days=1)):
            sums[spent.component, spent.resource] += spent.usd / share
    return _rows(sums, 24.0 * len(days), "meter")


def _billed(bill: Bill, days: list[date]) -> tuple[Settled, ...]:
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    kept = set(days)
    for cost in bill.days(days[0], days[-1] + timedelta(days=1)):
        if cost.day in kept and cost.currency == CURRENCY:
            sums[cost.component, cost.resource] += cost.cost
    return _rows(sums, 24.0 * len(days), "bill")


def _rows(sums: dict[tuple[str, str], float], hours: float, basis: str) -> tuple[Settled, ...]:
    if hours <= 0:
        return ()
    return tuple(
        Settled(component=component, resource=resource, usd_per_hour=usd / hours, basis=basis)
        for (component, resource), usd in sorted(sums.items())
    )
