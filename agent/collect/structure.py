"""The cluster's structure at an instant: the newest stored snapshot of each kind, and who was there before.

Brokers are remembered: one that was in the metadata within `REMEMBER` and is not now is `up` = false, not gone, because
a row that vanishes is a problem no rule can see. One that replicas are placed on needs no memory for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from agent.collect.snapshot import ADMIN
from agent.store.batch import Columns, instant
from agent.store.samples import SampleStore

REMEMBER = timedelta(hours=1)
LOOK_BACK = timedelta(hours=2)
"""Structure is stored anew every hour, so the newest snapshot is never older while rounds succeed."""
MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A metrics target, or the admin API, as the last round found it."""

    up: bool
    reason: str | None
    ok_us: int | None
    at_us: int
    took_s: float
    """How long the last look took."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    at_us: int
    seen: Mapping[str, Seen]
    nodes: Columns
    lost: Columns
    """Brokers that were there within `REMEMBER` and are not now: broker, rack."""
    partitions: Columns
    groups: Columns
    members: Columns
    configs: Columns
    log_dirs: Columns
    security: Columns

    @property
    def holders(self) -> set[str]:
        """Brokers with a replica: one of them that the metadata does not name is down, however long ago it went."""
        return {broker for held in self.partitions["replicas"].tolist() if held is not None for broker in held}

    @property
    def topology_known(self) -> bool:
        return bool(len(self.nodes["broker"]))

    @property
    def took_s(self) -> float:
        """How long the newest round took: by so much everything is older than its own instant says."""
        newest = max((seen.at_us for seen in self.seen.values()), default=0)
        return max((seen.took_s for seen in self.seen.values() if seen.at_us == newest), default=0.0)

    @property
    def admin_age_s(self) -> float | None:
        """Seconds since the admin API last answered."""
        seen = self.seen.get(ADMIN)
        return None if seen is None or seen.ok_us is None else (self.at_us - seen.ok_us) / MICRO


def load(store: SampleStore, cluster: str, at: datetime) -> Structure:
    """Reads the structure as it was known at `at`."""
    reader = _Reader(store, cluster, at)
    return Structure(
        at_us=int(instant(at).astype(np.int64)),
        seen=reader.targets(),
        nodes=reader.newest("nodes", "broker, host, port, rack, controller", "broker"),
        lost=reader.lost(),
        partitions=reader.newest("partitions", "topic, part, leader, replicas, isr, internal", "topic"),
        groups=reader.newest("groups", "group_id, state, protocol, coordinator, members", "group_id"),
        members=reader.newest("members", "group_id, member_id, client_id, host, topic, part", "group_id"),
        configs=reader.newest("configs", "scope, owner, name, value, source", "owner"),
        log_dirs=reader.newest(
            "log_dirs", "broker, path, total_bytes, usable_bytes, topic, part, size_bytes", "broker"
        ),
        security=reader.newest("security", "resource, subject, item, value, expires_us", "subject"),
    )


class _Reader:
    def __init__(self, store: SampleStore, cluster: str, at: datetime) -> None:
        self._store = store
        self._at = at
        self._parameters: dict[str, Any] = {"cluster": cluster, "at": str(instant(at))}

    def newest(self, kind: str, columns: str, key: str) -> Columns:
        """The newest snapshot of a kind; a row without its key stands for "nothing is there"."""
        return self._store.query_over(
            kind,
            self._at - LOOK_BACK,
            self._at,
            lambda rows: (
                f"WITH here AS (FROM {rows} WHERE cluster = $cluster AND ts <= timezone('UTC', $at::TIMESTAMP)) "
                f"SELECT {columns} FROM here WHERE ts = (SELECT max(ts) FROM here) AND {key} IS NOT NULL"
            ),
            self._parameters,
        )

    def lost(self) -> Columns:
        return self._store.query_over(
            "nodes",
            self._at - LOOK_BACK,
            self._at,
            lambda rows: (
                f"WITH here AS (FROM {rows} WHERE cluster = $cluster AND ts <= timezone('UTC', $at::TIMESTAMP)), "
                "seen AS (SELECT broker, max(ts) AS last_ts, arg_max(rack, ts) AS rack FROM here "
                "WHERE broker IS NOT NULL GROUP BY broker) "
                "SELECT broker, rack FROM seen WHERE last_ts < (SELECT max(ts) FROM here) AND "
                "(SELECT min(ts) FROM here WHERE here.ts > seen.last_ts) >= timezone('UTC', $at::TIMESTAMP) - $remember"
            ),
            {**self._parameters, "remember": REMEMBER},
        )

    def targets(self) -> dict[str, Seen]:
        rows = self._store.query_over(
            "targets",
            self._at - REMEMBER,
            self._at,
            lambda kept: (
                "SELECT target, arg_max(up, ts) AS up, arg_max(coalesce(reason, ''), ts) AS reason, "
                "coalesce(epoch_us(max(ts) FILTER (up)), -1) AS ok_us, epoch_us(max(ts)) AS at_us, "
                "coalesce(arg_max(took_s, ts), 0) AS took_s "
                f"FROM {kept} WHERE cluster = $cluster AND ts <= timezone('UTC', $at::TIMESTAMP) GROUP BY target"
            ),
            self._parameters,
        )
        columns = (rows[name].tolist() for name in ("target", "up", "reason", "ok_us", "at_us", "took_s"))
        return {
            target: Seen(up=bool(up), reason=reason or None, ok_us=None if ok < 0 else ok, at_us=last, took_s=took)
            for target, up, reason, ok, last, took in zip(*columns, strict=True)
        }
