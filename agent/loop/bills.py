"""Keeps the bill read: in a thread of its own, since a cloud may answer late and no round waits for it."""

from __future__ import annotations

import logging
import threading

from agent.billing.bill import Bill
from agent.billing.errors import BillError

log = logging.getLogger("streampilot.agent")


class BillReader:
    """Reads one bill again when poked; never twice at once."""

    def __init__(self, bill: Bill | None) -> None:
        self._bill = bill
        self._reading: threading.Thread | None = None
        self._problem = ""
        if bill is not None and bill.source.remote:
            self.poke()

    def poke(self) -> None:
        """Starts reading, unless that is under way."""
        if self._bill is not None and (self._reading is None or not self._reading.is_alive()):
            self._reading = threading.Thread(target=self._read, args=(self._bill,), name="bill", daemon=True)
            self._reading.start()

    def notes(self) -> list[str]:
        """What a reader of the bill must know, the last problem first."""
        known = [f"the bill: {note}" for note in self._bill.notes] if self._bill is not None else []
        return [*([self._problem] if self._problem else []), *known]

    def wait(self, timeout_s: float) -> None:
        """Until the reading under way has ended."""
        if self._reading is not None:
            self._reading.join(timeout_s)

    def _read(self, bill: Bill) -> None:
        """One that cannot be read is said once, and the rows from before stay."""
        try:
            bill.refresh()
            self._problem = ""
        except BillError as error:
            if str(error) != self._problem:
                log.warning("the bill: %s", error)
            self._problem = str(error)
