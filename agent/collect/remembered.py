"""Log ends from before a restart, read back from the store: without them every lag would look as young as the agent.

One round a minute of the last day, fewer hours where there are many partitions: never more cells than the history
itself keeps. Across the time that the agent was away the history interpolates, as it does between two rounds.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from agent.collect.offsets import COARSE_S, MOST_CELLS, OffsetHistory
from agent.store.batch import Columns, instant
from agent.store.errors import StoreError
from agent.store.samples import SampleStore

MOST_HOURS = 24


def remembered(store: SampleStore, cluster: str, at: datetime) -> OffsetHistory:
    """The history as far as the store knows it; an empty one where it knows nothing or cannot be read."""
    history = OffsetHistory()
    try:
        rows = _one_a_minute(store, cluster, at)
    except StoreError:
        return history
    moments, firsts = np.unique(rows["at"], return_index=True)
    lasts = np.r_[firsts[1:], len(rows["at"])][: len(firsts)]
    for moment, first, last in zip(moments.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
        names = zip(rows["topic"][first:last].tolist(), rows["part"][first:last].tolist(), strict=True)
        ends = rows["log_end"][first:last].tolist()
        history.add(moment, {(topic, int(part)): int(end) for (topic, part), end in zip(names, ends, strict=True)})
    return history


def _one_a_minute(store: SampleStore, cluster: str, at: datetime) -> Columns:
    """One round a minute, in order of time."""
    counted = store.query(
        "SELECT count(*) AS n FROM series WHERE cluster = $cluster AND name = 'admin_log_end'", {"cluster": cluster}
    )
    minutes = MOST_CELLS // max(1, int(counted["n"][0]))
    since = at - min(timedelta(hours=MOST_HOURS), timedelta(seconds=minutes * COARSE_S))
    between = "ts > timezone('UTC', $since::TIMESTAMP) AND ts < timezone('UTC', $at::TIMESTAMP)"
    parameters = {"cluster": cluster, "since": str(instant(since)), "at": str(instant(at)), "coarse": COARSE_S}
    return store.query_over(
        "samples",
        since,
        at,
        lambda kept: (
            f"WITH rounds AS (SELECT min(ts) AS ts FROM {store.relation('targets', since, at)} "
            f"WHERE cluster = $cluster AND {between} GROUP BY floor(epoch(ts) / $coarse)) "
            "SELECT epoch(x.ts) AS at, s.labels['topic'] AS topic, s.labels['partition'] AS part, x.value AS log_end "
            f"FROM {kept} x JOIN rounds ON x.ts = rounds.ts JOIN series s ON s.id = x.series "
            "WHERE s.cluster = $cluster AND s.name = 'admin_log_end' ORDER BY x.ts"
        ),
        parameters,
    )
