"""The canonical views: the only tables a rule may read, whatever the cluster is watched with.

Each view is the rows at one instant over one window. A source (`rules.engine.ViewSource`) fills them, a page names
the ones it needs, and the engine materialises those and nothing else.

Laws:
1. Unknown is NULL, never 0. A row whose every measure is unknown may be left out.
2. Units: bytes, seconds, USD; `_per_s` is a rate over the window; `_share` is 0 to 1.
3. Identifiers are VARCHAR, broker ids included; `partition` is INTEGER.
4. `as_of` is the instant asked for, in UTC; `data_age_s` is how old the youngest sample behind the row is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

COMMON: Mapping[str, str] = MappingProxyType(
    {"cluster": "VARCHAR", "resource": "VARCHAR", "as_of": "TIMESTAMPTZ", "window_s": "DOUBLE", "data_age_s": "DOUBLE"}
)


@dataclass(frozen=True, kw_only=True)
class View:
    name: str
    subject: str
    """What `resource` is: broker, topic, partition, group, client, store, component, or any."""
    key: tuple[str, ...]
    """With `cluster`, what tells two rows apart."""
    columns: Mapping[str, str]
    """Column to DuckDB type, the common ones first."""
    about: str

    @property
    def ddl(self) -> str:
        """The statement that makes the empty table, in place of one of an earlier round."""
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        return f'CREATE OR REPLACE TABLE "{self.name}" ({columns})'


def _view(name: str, subject: str, key: str, columns: str, about: str) -> View:
    own = dict(column.strip().split(" ", 1) for column in columns.split(",") if column.strip())
    return View(
        name=name,
        subject=subject,
        key=tuple(key.split()),
        columns=MappingProxyType({**COMMON, **own}),
        about=about,
    )


_ALL = (
    _view(
        "broker",
        "broker",
        "broker",
        "broker VARCHAR, kind VARCHAR, zone VARCHAR, up BOOLEAN, registered_at TIMESTAMPTZ, started_at TIMESTAMPTZ, "
        "cordoned BOOLEAN, spot BOOLEAN, version VARCHAR, cores DOUBLE, memory_bytes DOUBLE, nic_bytes_per_s DOUBLE, "
        "instance_type VARCHAR",
        "Brokers that belong to the cluster: `up` is false for one that is known but not in the metadata; one that "
        "left cleanly has no row. `kind` is bundled, automq or kafka.",
    ),
    _view(
        "broker_load",
        "broker",
        "broker",
        "broker VARCHAR, bytes_in_per_s DOUBLE, bytes_out_per_s DOUBLE, requests_per_s DOUBLE, cpu_share DOUBLE, "
        "idle_share DOUBLE, rss_bytes DOUBLE, connections DOUBLE, leaders BIGINT, partitions BIGINT",
        "What each broker carries. `leaders` counts the partitions it leads, internal topics included.",
    ),
    _view(
        "request_stats",
        "broker",
        "broker api",
        "broker VARCHAR, api VARCHAR, requests_per_s DOUBLE, errors_per_s DOUBLE, p50_s DOUBLE, p99_s DOUBLE, "
        "throttle_s DOUBLE",
        "Requests by Kafka API name.",
    ),
    _view(
        "partition",
        "partition",
        "topic partition",
        "topic VARCHAR, partition INTEGER, leader VARCHAR, replicas VARCHAR[], isr VARCHAR[], log_start BIGINT, "
        "log_end BIGINT, last_stable BIGINT, size_bytes DOUBLE",
        "The topology. `leader` is NULL for a partition without one; the first replica is the preferred owner.",
    ),
    _view(
        "partition_load",
        "partition",
        "topic partition",
        "topic VARCHAR, partition INTEGER, bytes_in_per_s DOUBLE, bytes_out_per_s DOUBLE, records_in_per_s DOUBLE, "
        "basis VARCHAR",
        "Rates per partition; `basis` is measured or estimated.",
    ),
    _view(
        "topic_config",
        "topic",
        "topic name",
        "topic VARCHAR, name VARCHAR, value VARCHAR, source VARCHAR",
        "Effective configuration, defaults included, one row per name.",
    ),
    _view(
        "broker_config",
        "broker",
        "broker name",
        "broker VARCHAR, name VARCHAR, value VARCHAR, source VARCHAR",
        "Effective configuration, one row per name.",
    ),
    _view(
        "group_state",
        "group",
        "group_id",
        "group_id VARCHAR, state VARCHAR, protocol VARCHAR, members BIGINT, coordinator VARCHAR, rebalances BIGINT",
        "Consumer groups. `state` is Kafka's word (Stable, Empty, ...); `rebalances` counts those in the window.",
    ),
    _view(
        "group_lag",
        "group",
        "group_id topic partition",
        "group_id VARCHAR, topic VARCHAR, partition INTEGER, committed BIGINT, log_end BIGINT, lag_records BIGINT, "
        "lag_s DOUBLE, lag_s_slope DOUBLE, retention_share DOUBLE, member_id VARCHAR",
        "Partitions a group has committed. `lag_s` is the age of the oldest unread record, `lag_s_slope` its change "
        "in seconds per second, `retention_share` `lag_s` over retention (NULL where nothing expires).",
    ),
    _view(
        "client_load",
        "client",
        "client_id broker direction",
        "client_id VARCHAR, broker VARCHAR, direction VARCHAR, bytes_per_s DOUBLE, cross_zone_bytes_per_s DOUBLE, "
        "requests_per_s DOUBLE, batch_bytes_avg DOUBLE, codec VARCHAR, client_zone VARCHAR, software VARCHAR, "
        "principal VARCHAR",
        "Traffic of each client id at each broker. `direction` is produce or fetch. Cross-zone bytes are NULL while "
        "the client's zone is unknown. `codec` is the one most of its bytes use: none, gzip, snappy, lz4, zstd.",
    ),
    _view(
        "client_telemetry",
        "client",
        "client_id metric",
        "client_id VARCHAR, metric VARCHAR, value DOUBLE",
        "What clients report of themselves (KIP-714).",
    ),
    _view(
        "object_store_ops",
        "broker",
        "broker operation status",
        "broker VARCHAR, operation VARCHAR, status VARCHAR, requests_per_s DOUBLE, bytes_per_s DOUBLE, p99_s DOUBLE",
        "Object-store requests by operation (put, get, list, delete, head, copy, multipart) and outcome.",
    ),
    _view(
        "object_store_state",
        "store",
        "store",
        "store VARCHAR, objects BIGINT, live_bytes DOUBLE, bucket_bytes DOUBLE, multipart_bytes DOUBLE, "
        "orphans BIGINT, missing BIGINT",
        "What the bucket holds, and what the metadata says it should hold.",
    ),
    _view(
        "wal_state",
        "broker",
        "broker",
        "broker VARCHAR, kind VARCHAR, pending_bytes DOUBLE, oldest_s DOUBLE, free_share DOUBLE, errors_per_s DOUBLE, "
        "append_p99_s DOUBLE",
        "The write-ahead log of each broker; `kind` is its URL's scheme.",
    ),
    _view(
        "cost",
        "component",
        "component for_resource basis",
        "component VARCHAR, for_resource VARCHAR, usd_per_hour DOUBLE, basis VARCHAR, price_date DATE",
        "Money by component (network, storage, compute, requests) and by whom it is spent for; `basis` is meter or "
        "bill.",
    ),
    _view(
        "security",
        "any",
        "subject check",
        "subject VARCHAR, check VARCHAR, value VARCHAR, expires_at TIMESTAMPTZ",
        "One row per thing checked.",
    ),
    _view(
        "bill",
        "any",
        "ChargePeriodStart ResourceId SkuId",
        "BillingAccountId VARCHAR, ChargePeriodStart TIMESTAMPTZ, ChargePeriodEnd TIMESTAMPTZ, ServiceName VARCHAR, "
        "ServiceCategory VARCHAR, ChargeCategory VARCHAR, ChargeDescription VARCHAR, RegionId VARCHAR, "
        "ResourceId VARCHAR, SkuId VARCHAR, SkuMeter VARCHAR, ConsumedQuantity DOUBLE, ConsumedUnit VARCHAR, "
        "BilledCost DOUBLE, EffectiveCost DOUBLE, ListCost DOUBLE, BillingCurrency VARCHAR, Tags VARCHAR, "
        "x_Component VARCHAR, x_Owner VARCHAR",
        "The cloud's bill under FOCUS 1.2 names; `Tags` is JSON text. `x_Component` is what a row pays for, `x_Owner` "
        "is ours, untagged (nobody can say whose) or others.",
    ),
    _view(
        "event",
        "any",
        "at kind",
        "at TIMESTAMPTZ, kind VARCHAR, source VARCHAR, detail VARCHAR",
        "What happened in the window: deploy, scale, maintenance, action, restart.",
    ),
    _view(
        "source",
        "any",
        "target",
        "target VARCHAR, up BOOLEAN, last_ok_at TIMESTAMPTZ, reason VARCHAR",
        "Where the data comes from, and whether it comes.",
    ),
    _view(
        "history",
        "any",
        "measure bucket_start",
        "measure VARCHAR, bucket_start TIMESTAMPTZ, bucket_s DOUBLE, min DOUBLE, max DOUBLE, avg DOUBLE, "
        "last DOUBLE, increase DOUBLE",
        "Rollups over the window. A measure is `<name>:<subject>`, and `resource` is the subject's id: "
        "`topic_read_age_s:T` is the age of the oldest record that any group of topic T had still to read.",
    ),
)

VIEWS: Mapping[str, View] = MappingProxyType({view.name: view for view in _ALL})
"""Every canonical view by name."""


def insert(connection: duckdb.DuckDBPyConnection, view: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Appends rows to the view's table, absent columns as NULL; the number of rows.

    One statement with a list per column: fifty times faster than `executemany`. KeyError names an unknown column.
    """
    kept = list(rows)
    if not kept:
        return 0
    types = VIEWS[view].columns
    for row in kept:
        if unknown := row.keys() - types.keys():
            raise KeyError(f"view {view} has no column {sorted(unknown)[0]!r}; it has {', '.join(types)}")
    used = [name for name in types if any(row.get(name) is not None for row in kept)]
    columns: Sequence[list[Any]] = [[row.get(name) for row in kept] for name in used]
    names = ", ".join(f'"{name}"' for name in used)
    values = ", ".join(f"unnest(${n}::{types[name]}[])" for n, name in enumerate(used, 1))
    connection.execute(f'INSERT INTO "{view}" ({names}) SELECT {values}', columns)
    return len(kept)
