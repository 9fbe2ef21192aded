"""GET /api/cost?bill=true: what the bill says by component, and the meter beside it on days that both know."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from agent.billing.bill import Bill
from agent.billing.ledger import Ledger
from agent.billing.reconcile import compare
from agent.loop.refused import Refused

COMPARED_DAYS = 31


def billed(bill: Bill | None, ledger: Ledger, now: datetime) -> dict[str, Any]:
    """Amounts in the bill's currency; the comparison is USD an hour over closed and watched days of the last month."""
    if bill is None:
        raise Refused("no bill is configured", "pass --bill, or set bill = { url = ... } in [[cluster]]")
    compared = compare(ledger, bill, now - timedelta(days=COMPARED_DAYS), now)
    sides: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in compared.settled if compared.days else ():
        sides[row.component][row.basis] += row.usd_per_hour
    closed = bill.closed_until(now)
    return {
        "source": bill.source.name,
        "rows": bill.size,
        "unclassified": bill.unclassified,
        "owners": bill.owners(),
        "closed_until": None if closed is None else closed.isoformat(),
        "components": [
            {"component": line.component, "amount": line.usd, "currency": line.currency, "rows": line.rows}
            for line in bill.components()
        ],
        "days_compared": [day.isoformat() for day in compared.days],
        "compared": [
            {"component": component, "meter_usd_per_hour": side["meter"], "bill_usd_per_hour": side["bill"]}
            for component, side in sorted(sides.items(), key=lambda item: -max(item[1].values()))
        ],
        "notes": list(bill.notes),
    }
