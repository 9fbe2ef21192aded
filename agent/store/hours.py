"""What is kept by time: each kind of row has one table per hour, so that forgetting is a DROP and never a DELETE.

    samples_2026112216            hot: a DuckDB table, appended to once per scrape round
    hours/samples_2026112216.parquet   closed: sorted, zstd, the hot table dropped

A closed hour that gets late rows (a clock stepped back) has both forms for a while: readers see their union and the
next roll-off merges them. `at`, `group`, `offset` and `end` are not free as column names in DuckDB 2: `ts`, `group_id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np

from agent.store.batch import instant

HOUR = timedelta(hours=1)

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "samples": "series INTEGER, ts TIMESTAMPTZ, value DOUBLE",
        "targets": "cluster VARCHAR, ts TIMESTAMPTZ, target VARCHAR, up BOOLEAN, reason VARCHAR, took_s DOUBLE, "
        "samples BIGINT",
        "nodes": "cluster VARCHAR, ts TIMESTAMPTZ, broker VARCHAR, host VARCHAR, port INTEGER, rack VARCHAR, "
        "controller BOOLEAN",
        "partitions": "cluster VARCHAR, ts TIMESTAMPTZ, topic VARCHAR, part INTEGER, leader VARCHAR, epoch INTEGER, "
        "replicas VARCHAR[], isr VARCHAR[], internal BOOLEAN",
        "groups": "cluster VARCHAR, ts TIMESTAMPTZ, group_id VARCHAR, state VARCHAR, protocol VARCHAR, "
        "coordinator VARCHAR, members BIGINT",
        "members": "cluster VARCHAR, ts TIMESTAMPTZ, group_id VARCHAR, member_id VARCHAR, client_id VARCHAR, "
        "host VARCHAR, topic VARCHAR, part INTEGER",
        "configs": "cluster VARCHAR, ts TIMESTAMPTZ, scope VARCHAR, owner VARCHAR, name VARCHAR, value VARCHAR, "
        "source VARCHAR",
        "log_dirs": "cluster VARCHAR, ts TIMESTAMPTZ, broker VARCHAR, path VARCHAR, total_bytes BIGINT, "
        "usable_bytes BIGINT, topic VARCHAR, part INTEGER, size_bytes BIGINT",
        "security": "cluster VARCHAR, ts TIMESTAMPTZ, resource VARCHAR, subject VARCHAR, item VARCHAR, value VARCHAR, "
        "expires_us BIGINT",
        "events": "cluster VARCHAR, ts TIMESTAMPTZ, resource VARCHAR, kind VARCHAR, source VARCHAR, detail VARCHAR",
    }
)
"""Kind to its columns."""

_FILES = re.compile(r"'([^']+\.parquet)'")
ORDER: Mapping[str, str] = MappingProxyType({"samples": "series, ts"})
"""How a closed hour is sorted, where it is not by time."""


def hour_name(kind: str, at: datetime) -> str:
    """`samples_2026112216`."""
    return f"{kind}_{at:%Y%m%d%H}"


def split_name(name: str) -> tuple[str, str] | None:
    """Kind and hour of a table's or file's name; None for anything else."""
    kind, _, hour = name.rpartition("_")
    return (kind, hour) if kind in KINDS and len(hour) == 10 and hour.isdigit() else None


def within(spans: Iterable[str], since: datetime, until: datetime) -> list[str]:
    """Those of some hours (`YYYYMMDDHH`) or days (`YYYYMMDD`) that touch [since, until], in order.

    Chosen from what there is, because a range may be all of time.
    """
    first, last = f"{since:%Y%m%d%H}", f"{until:%Y%m%d%H}"
    return sorted(span for span in set(spans) if touches(span, first, last))


def touches(span: str, first: str, last: str) -> bool:
    """Whether an hour or day has a part in the hours from `first` to `last`."""
    return first[: len(span)] <= span <= last[: len(span)]


def column_names(kind: str) -> list[str]:
    return [column.split()[0] for column in KINDS[kind].split(", ")]


def files_in(sql: str) -> list[Path]:
    """The files that a statement reads."""
    return [Path(name) for name in _FILES.findall(sql)]


def rows_sql(
    kind: str, files: Sequence[Path], hot: Sequence[str], span: tuple[datetime, datetime] | None = None
) -> str:
    """SQL for the rows in files and hot hours; those within `span` alone, if one is given.

    Only the hours at its ends are asked for times: the others lie within, and asking costs a fifth of a narrow query.
    """
    columns, where, ends = ", ".join(column_names(kind)), "", set()
    if span is not None:
        first, last = (int(instant(at).astype(np.int64)) for at in span)
        where = f" WHERE ts >= make_timestamptz({first}) AND ts <= make_timestamptz({last})"
        ends = {f"{at:%Y%m%d%H}" for at in span}
    parts = []
    for outer in (False, True):
        named = ", ".join(f"'{file}'" for file in files if (file.stem.rpartition("_")[2] in ends) == outer)
        parts += [f"SELECT {columns} FROM read_parquet([{named}]){where * outer}"] * bool(named)
    parts += [f"SELECT {columns} FROM {kind}_{hour}{where * (hour in ends)}" for hour in hot]
    return f"({' UNION ALL '.join(parts or [_no_rows(kind)])})"


def _no_rows(kind: str) -> str:
    columns = [column.split(" ", 1) for column in KINDS[kind].split(", ")]
    return f"SELECT {', '.join(f'NULL::{type} AS {name}' for name, type in columns)} WHERE false"
