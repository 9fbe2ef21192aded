"""Five-minute rollups: what a long range is read from, and what outlives the samples.

A bucket holds the samples of [start, start + 5 min): lowest, highest and last value, count, sum, and the increase with
resets corrected: each sample's growth since the sample before it, wherever that was, so that the increases of buckets
in a row add up. A series' very first sample has grown by nothing. NaN and stale markers count for nothing.
"""

from __future__ import annotations

from datetime import timedelta

BUCKET = timedelta(minutes=5)
BUCKET_US = 300_000_000
LOOK_BACK = timedelta(minutes=10)
"""How far before a range its first sample's predecessor is looked for."""


def rollup_sql(samples: str) -> str:
    """SQL that reduces `samples` (series, ts, value) to buckets."""
    return (
        f"SELECT series, make_timestamptz(epoch_us(ts) // {BUCKET_US} * {BUCKET_US}) AS ts, min(value) AS low, "
        "max(value) AS high, arg_max(value, ts) AS last, count(*) AS count, sum(value) AS sum, "
        "sum(CASE WHEN before IS NULL THEN 0 WHEN value >= before THEN value - before ELSE value END) AS increase "
        "FROM (SELECT series, ts, value, lag(value) OVER (PARTITION BY series ORDER BY ts) AS before "
        f"FROM {samples} WHERE isfinite(value)) GROUP BY 1, 2"
    )
