"""Keeps the bill up to date: reads the counters every minute, rewrites the open hour's file, closes the one before."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from broker.bill.focus import COLUMNS, Subject, rows_of
from broker.bill.prices import Prices
from broker.bill.usage import HOUR_MS, HourUsage, Ledger, Reading
from broker.clock import Clock

_EVERY_S = 60.0
_PATIENCE_S = 20.0
"""A writer slower than this is stopped: the next minute writes the same rows and more."""


class Biller:
    """Writes DIR/bill/HOUR-broker-ID-START.parquet. START is this run's, so a restart within the hour adds a file."""

    def __init__(
        self, *, directory: Path, subject: Subject, prices: Prices, clock: Clock, read: Callable[[], Reading]
    ) -> None:
        self._directory = directory
        self._subject = subject
        self._prices = prices
        self._clock = clock
        self._read = read
        self._started_ms = clock.wall_ms()
        self._ledger = Ledger(self._started_ms, read())
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(min(_EVERY_S, (HOUR_MS - self._clock.wall_ms() % HOUR_MS) / 1000 + 0.01))
            await self.write()

    async def write(self, patience_s: float = _PATIENCE_S) -> None:
        """Brings the files up to date; says so on stderr when it cannot, and tries again at the next call."""
        async with self._writing:
            self._ledger.read(self._clock.wall_ms(), self._read())
            try:
                done = [await self._write_hour(hour, patience_s) for hour in self._ledger.hours()]
            except OSError as error:
                print(f"the bill in {self._directory} was not written: {error.strerror}", file=sys.stderr)
                return
            if all(done):
                self._ledger.forget_closed()

    def path(self, hour: HourUsage) -> Path:
        """Where an hour's rows go."""
        start = datetime.fromtimestamp(hour.start_ms / 1000, UTC)
        return self._directory / f"{start:%Y-%m-%dT%H}Z-broker-{self._subject.broker}-{self._started_ms}.parquet"

    async def _write_hour(self, hour: HourUsage, patience_s: float) -> bool:
        rows = rows_of(hour, self._subject, self._prices)
        if not rows:
            return True
        job = json.dumps({"columns": dict(COLUMNS), "rows": rows}).encode()
        self._directory.mkdir(parents=True, exist_ok=True)
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker.bill.parquet", str(self.path(hour)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, said = await asyncio.wait_for(writer.communicate(job), patience_s)
        except BaseException as error:
            writer.kill()
            await writer.wait()
            if not isinstance(error, TimeoutError):
                raise
            said = b"the bill's writer was stopped: it took too long"
        if writer.returncode != 0:
            print(said.decode(errors="replace").strip(), file=sys.stderr)
        return writer.returncode == 0
