"""What clients report of themselves: through the brokers (KIP-714), which are scraped, or by OTLP, which is pushed.

A push comes once a minute or less, so that its values stay current for as long as Prometheus looks back; a scraped one
only while its target answers. Several instances, versions or brokers under one client id are one: totals add up, of
everything else the largest counts, as the bundled broker has it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from agent.collect.catalog import Catalog
from agent.collect.otlp import TARGET
from agent.collect.pushed import SILENT_S
from agent.store.batch import Columns, instant
from agent.store.samples import SampleStore

MEASURE = "client_telemetry"


def told(store: SampleStore, catalog: Catalog, at: datetime, window_s: float, stale_us: int) -> Columns | None:
    """The current series at `at`: client_id, metric, value, age_s; None where there never was any."""
    catalog.refresh()
    ids = np.flatnonzero(catalog.measure == MEASURE)
    if not len(ids):
        return None
    since = at - timedelta(seconds=max(window_s, SILENT_S))
    between = "ts > timezone('UTC', $since::TIMESTAMP) AND ts <= timezone('UTC', $at::TIMESTAMP)"

    def select(relation: str) -> str:
        return (
            f"SELECT series, max(epoch_us(ts)) AS us, last(value ORDER BY ts) AS value FROM {relation} "
            f"WHERE {between} AND series IN (SELECT id FROM wanted) GROUP BY series"
        )

    rows = store.query_over(
        "samples", since, at, select, {"since": str(instant(since)), "at": str(instant(at))}, wanted={"id": ids}
    )
    values = np.ma.filled(np.ma.asarray(rows["value"], dtype=np.float64), np.nan)
    ages_us = int(instant(at).astype(np.int64)) - rows["us"]
    names = np.array([name.split("/", 1)[0] == TARGET for name in catalog.targets] or [False])
    pushed = names[catalog.target[rows["series"]]]
    current = ~np.isnan(values) & (ages_us <= np.where(pushed, SILENT_S * 1e6, stale_us))
    chosen = rows["series"][current]
    return {
        "client_id": catalog.dimensions["client_id"][chosen],
        "metric": catalog.dimensions["metric"][chosen],
        "value": values[current],
        "age_s": ages_us[current] / 1e6,
    }
