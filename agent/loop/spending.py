"""From rounds to the ledger: what the meter charges counts for the time since the round before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from agent.billing.errors import LedgerError
from agent.billing.ledger import Ledger
from agent.loop.glance import Row
from agent.store.usage import Charge

log = logging.getLogger("streampilot.agent")

MOST_ROUNDS = 4
"""A longer silence was not watched: nothing is charged for it."""


class Spending:
    """Writes down the meter's rows, round by round."""

    def __init__(self, ledger: Ledger, *, every_s: float) -> None:
        self._ledger = ledger
        self._most_s = MOST_ROUNDS * every_s + 10.0
        self._last: datetime | None = None
        self._problem = ""

    def add(self, at: datetime, cost: Sequence[Row], written_per_s: float) -> None:
        """One round's cost view. A clock that went back, or far ahead, begins anew."""
        since, self._last = self._last, at
        charges = [
            Charge(component=row["component"], for_resource=row["for_resource"], usd_per_hour=row["usd_per_hour"])
            for row in cost
            if row["basis"] == "meter" and row["usd_per_hour"] is not None
        ]
        if since is None or not charges or not 0 < (at - since).total_seconds() <= self._most_s:
            return
        try:
            self._ledger.record(since, at, charges, written_per_s)
            self._problem = ""
        except LedgerError as error:
            if str(error) != self._problem:
                log.warning("%s", error)
            self._problem = str(error)

    def notes(self) -> list[str]:
        """What stands in the way of keeping it."""
        return [self._problem] if self._problem else []
