"""An agent's store that is written to until it is killed: `python -m tests.faults.agent.writer DIR`.

First line: the seconds from the start of the process, and from the opening of the store, to the first committed round.
Then one line a committed round: its instant in microseconds. A round is ROWS samples of one value, its number since
1970 / STEP; ninety seconds lie between rounds, so that hours close and roll off all the time.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil

from agent.model.clock import SystemClock
from agent.store.batch import Batch
from agent.store.samples import SampleStore

ROWS = 500
STEP = timedelta(seconds=90)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
TIDY_EVERY = 7


def batch(store: SampleStore, at: datetime, rows: int = ROWS) -> Batch:
    ids = [store.series_id("c", "t", "m", (("n", str(n)),)) for n in range(rows)]
    return Batch(at=at, series=np.array(ids, dtype=np.int32), values=np.full(rows, (at - EPOCH) / STEP))


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def newest(store: SampleStore) -> datetime:
    """Of what is stored; START where nothing is."""
    hours = [*store.shelf.sample_hours(), *(name.rpartition("_")[2] for name in store.tables())]
    if not hours:
        return START
    last = datetime.strptime(f"{max(hours)}+0000", "%Y%m%d%H%z")
    relation = store.relation("samples", last, last + timedelta(minutes=59))
    found = store.query(f"SELECT epoch_us(max(ts)) AS us FROM {relation}")["us"][0]
    return EPOCH + timedelta(microseconds=int(found))


def torn(store: SampleStore, since: datetime, until: datetime) -> tuple[set[int], list[int]]:
    """The instants of all rounds, and of those that are not whole."""
    relation = store.relation("samples", since, until)
    rows = store.query(
        "SELECT epoch_us(ts) AS us, count(*) AS n, count(DISTINCT series) AS ids, min(value) AS low, "
        f"max(value) AS high FROM {relation} GROUP BY ts"
    )
    whole = (rows["n"] == ROWS) & (rows["ids"] == ROWS) & (rows["low"] == rows["high"])
    whole &= np.asarray(rows["low"]) == rows["us"] / (STEP / timedelta(microseconds=1))
    return set(rows["us"].tolist()), rows["us"][~whole].tolist()


def main() -> None:
    began = time.monotonic()
    store = SampleStore(Path(sys.argv[1]), clock=SystemClock())
    at, count = newest(store), 0
    while True:
        at += STEP
        if store.write(batch(store, at)):
            if not count:
                since_start = time.time() - psutil.Process().create_time()
                print(f"{since_start:.3f} {time.monotonic() - began:.3f}", flush=True)
            print(micros(at), flush=True)
            count += 1
        if count % TIDY_EVERY == 0:
            store.maintain(at)


if __name__ == "__main__":
    main()
