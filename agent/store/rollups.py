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
COLUMNS = "series, ts, low, high, last, count, sum, increase"
EMPTY = (
    "SELECT NULL::INTEGER AS series, NULL::TIMESTAMPTZ AS ts, NULL::DOUBLE AS low, NULL::DOUBLE AS high, "
    "NULL::DOUBLE AS last, NULL::BIGINT AS count, NULL::DOUBLE AS sum, NULL::DOUBLE AS increase WHERE false"
)
HOUR_OF = "strftime(ts, '%Y%m%d%H')"


def rollup_sql(samples: str) -> str:
    """SQL that reduces `samples` (series, ts, value) to buckets."""
    return (
        f"SELECT series, make_timestamptz(epoch_us(ts) // {BUCKET_US} * {BUCKET_US}) AS ts, min(value) AS low, "
        "max(value) AS high, arg_max(value, ts) AS last, count(*) AS count, sum(value) AS sum, "
        "sum(CASE WHEN before IS NULL THEN 0 WHEN value >= before THEN value - before ELSE value END) AS increase "
        "FROM (SELECT series, ts, value, lag(value) OVER (PARTITION BY series ORDER BY ts) AS before "
        f"FROM {samples} WHERE isfinite(value)) GROUP BY 1, 2"
    )


def hour_rollup_sql(hour_file: str, earlier: list[str], start_us: int) -> str:
    """SQL for one hour's buckets; `earlier` files of rollups tell the value before its first samples."""
    samples = f"SELECT series, ts, value FROM read_parquet('{hour_file}')"
    if earlier:
        look_back = int(LOOK_BACK.total_seconds() * 1_000_000)
        samples += (
            f" UNION ALL SELECT series, ts, last FROM read_parquet({earlier}) "
            f"WHERE ts >= make_timestamptz({start_us - look_back}) AND ts < make_timestamptz({start_us})"
        )
    return f"SELECT {COLUMNS} FROM ({rollup_sql(f'({samples})')}) WHERE ts >= make_timestamptz({start_us})"


def stored_sql(hours: list[str], days: list[str], but: list[str]) -> str:
    """SQL for the rollups in files; an hour's own file and what is in `but` (hours) go before the day's."""
    parts = [EMPTY]
    if hours:
        parts.append(f"SELECT {COLUMNS} FROM read_parquet({hours})")
    if days:
        where = f" WHERE {HOUR_OF} NOT IN ({', '.join(map(repr, but))})" if but else ""
        parts.append(f"SELECT {COLUMNS} FROM read_parquet({days}){where}")
    return f"({' UNION ALL '.join(parts)})"
