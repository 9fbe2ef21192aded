"""Usage times list prices: what a cluster costs an hour, by component and by whom it is spent for.

| component | from | price |
|---|---|---|
| compute | each live broker | an instance hour, on demand or spot |
| requests | object-store requests by operation | tier 1 or tier 2; DELETE is free |
| storage | live bytes, by topic | object GB-month / 730 |
| wal | provisioned volume bytes | volume GB-month / 730 |
| network | bytes between a client and a broker, or two replicas, in different zones | both sides together, once |

A cluster without an object store keeps its logs on volumes: their bytes are `storage` at the volume's price.

The products are `arithmetic`'s, so that the golden cases test what is charged.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime

from agent.billing.arithmetic import crossing, object_storage, requests, volumes
from agent.billing.bill import Bill
from agent.billing.errors import PriceError
from agent.billing.ledger import Ledger
from agent.billing.pricebook import PriceBook
from agent.billing.reconcile import compare
from agent.store.batch import Columns
from agent.store.usage import Charge, Settled, Usage

SECONDS_PER_HOUR = 3600
TIER1 = frozenset({"put", "copy", "post", "list", "multipart"})
TIER2 = frozenset({"get", "head"})


class Meter:
    """Prices what the views measure (an `agent.store.usage.Money`)."""

    def __init__(self, prices: PriceBook, bill: Bill | None = None, ledger: Ledger | None = None) -> None:
        self.prices = prices
        self.notes: tuple[str, ...] = ()
        """What the last charges leave out or take for granted."""
        self._bill = bill
        self._ledger = ledger

    @property
    def price_date(self) -> date:
        return self.prices.taken_down

    def charges(self, usage: Usage) -> list[Charge]:
        """USD per hour; nothing is charged for what is not known."""
        sums: dict[tuple[str, str], float] = defaultdict(float)
        prices, hour = self.prices, 1.0 / self.prices.hours_per_month
        notes = set()
        for broker in usage.brokers:
            try:
                price = prices.instance_hour(broker.instance_type, spot=broker.spot)
                sums["compute", broker.resource] += price
            except PriceError as error:
                notes.add(f"compute is not counted: {error}")
            if broker.instance_type is None:
                notes.add(
                    f"no instance type is known: {prices.default_instance} of {prices.name} is counted; "
                    "set instance_type in [[cluster]]"
                )
            if broker.wal_bytes is not None:
                sums["wal", broker.resource] += hour * volumes(broker.wal_bytes, 1, prices.volume_gb_month).usd
        for (resource, operation), rate in usage.requests_per_s.items():
            sums["requests", resource] += requests(rate, SECONDS_PER_HOUR, self.request_price(operation)).usd
        for resource, rate in usage.cross_zone_bytes_per_s.items():
            sums["network", resource] += crossing(rate * SECONDS_PER_HOUR, 1, prices.cross_zone_gb).usd
        for resource, rate in usage.replicated_bytes_per_s.items():
            sums["network", resource] += crossing(rate * SECONDS_PER_HOUR, 1, prices.cross_zone_gb).usd
        for resource, stored in usage.stored_bytes.items():
            sums["storage", resource] += hour * object_storage(stored, prices.object_gb_month).usd
        for resource, stored in usage.volume_bytes.items():
            sums["storage", resource] += hour * volumes(stored, 1, prices.volume_gb_month).usd
        self.notes = tuple(sorted(notes))
        return [
            Charge(component=component, for_resource=resource, usd_per_hour=amount)
            for (component, resource), amount in sums.items()
        ]

    def request_price(self, operation: str) -> float:
        """Of one object-store request."""
        if operation in TIER1:
            return self.prices.tier1
        return self.prices.tier2 if operation in TIER2 else 0.0

    def settled(self, since: datetime, until: datetime) -> list[Settled]:
        """Whole days of the past, from the ledger and the bill; empty without a ledger."""
        return [] if self._ledger is None else list(compare(self._ledger, self._bill, since, until).settled)

    def bill(self, since: datetime, until: datetime) -> Columns:
        """Bill rows by charge period; empty without a bill."""
        return {} if self._bill is None else self._bill.rows(since, until)
