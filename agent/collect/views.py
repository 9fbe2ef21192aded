"""The canonical views, filled from the store: what rules, plans and screens read, whatever the source.

`StoreSource` is a `rules.engine.ViewSource`. A view's SQL is in `sql/<view>.sql` and runs inside the caller's database
over columns that are handed in as numpy; the store's own database is only asked for the window's samples and the newest
structure, once per instant and window, and the last answers are kept because several rules ask for the same.

Unknown is NULL; a view that no source can fill raises NoData with the reason.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import duckdb
import numpy as np

from agent.collect import identity, structure, telemetry
from agent.collect.catalog import Catalog
from agent.collect.quantiles import p99s
from agent.collect.snapshot import ADMIN
from agent.collect.structure import Structure
from agent.collect.tables import encoded, fill, literal, view_query
from agent.collect.usage import usage
from agent.collect.window import MICRO, Window, summarise
from agent.collect.zones import Zones
from agent.model.resource import encode, resource_id
from agent.store.batch import Columns, instant, objects, texts
from agent.store.samples import SampleStore
from agent.store.usage import Money
from rules.errors import NoData

KEPT = 6
"""Instants and windows whose samples are kept."""
MOST_ASSIGNED = 10_000
MOST_ROUNDS = 720
"""Over longer windows only so many rounds are read, evenly spaced, the newest always."""
DAY_S = 86_400.0
"""From here on the cost view is of whole days of the past, not of now."""
STRUCTURE_VIEWS = frozenset({"partition", "topic_config", "broker_config", "group_state", "group_lag", "security"})

Kept = TypeVar("Kept")


class StoreSource:
    """The views of one cluster. Thread-safe."""

    def __init__(
        self,
        store: SampleStore,
        cluster: str,
        *,
        interval_s: float = 5.0,
        brokers: Mapping[str, str] | None = None,
        kind: str | None = None,
        cores: float | None = None,
        instance_type: str | None = None,
        money: Money | None = None,
        zones: Zones | None = None,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._interval_s = interval_s
        self._configured: Mapping[str, str] = dict(brokers or {})
        self._kind = kind
        self._cores = cores
        self._instance_type = instance_type
        self._money = money
        self._zones = zones or Zones({})
        self._catalog = Catalog(store, cluster)
        self._windows: OrderedDict[tuple[datetime, float], Window] = OrderedDict()
        self._structures: OrderedDict[datetime, Structure] = OrderedDict()
        self._firsts: dict[tuple[bool, str], float] = {}
        """When the admin API, or a metrics target, first answered: looked up once an hour, over all hours kept."""
        self._lock = threading.RLock()

    def assign(self, brokers: Mapping[str, str]) -> None:
        """Which broker each target is of, beside what was said before: a window may still hold what is gone."""
        kept = list({**self._configured, **brokers}.items())[-MOST_ASSIGNED:]
        self._configured = dict(kept)

    def fill(self, connection: duckdb.DuckDBPyConnection, view: str, at: datetime, window_s: float) -> None:
        """Inserts the view's rows at `at` over `window_s`; NoData says why there can be none."""
        if view == "bill":
            self._fill_bill(connection, at, window_s)
            return
        query = view_query(view)
        if query is None:
            raise NoData(f"nothing collects {view}")
        with self._lock:
            found = self._structure(at)
            self._refuse_unknown(view, found)
            tables = {name: self._table(name, at, window_s) for name in query.tables}
            if query.measures:
                tables["m"] = self._window(at, window_s).only(query.measures)
        text = query.text.replace("$cluster", literal(encode(self._cluster)))
        for column in ("g.group_id", "l.group_id", "x.client_id", "target"):
            text = text.replace(f"@encoded({column})", encoded(column))
        common = (
            f"{literal(self._cluster)} AS cluster, make_timestamptz({found.at_us}::BIGINT) AS as_of, "
            f"{float(window_s)}::DOUBLE AS window_s"
        )
        fill(connection, view, type(query)(tables=(), measures=(), text=text), tables, common)

    def age_s(self, view: str, at: datetime) -> float:
        """Seconds of history behind a view at `at`."""
        of_admin = view in STRUCTURE_VIEWS or view in ("broker", "event", "history", "partition_load")
        key = (of_admin, f"{at:%Y%m%d%H}")
        with self._lock:
            if key not in self._firsts:
                found = self._first_s(at, of_admin=of_admin)
                if found is None:
                    return 0.0
                self._firsts = {**{old: first for old, first in self._firsts.items() if old[1] == key[1]}, key: found}
            return max(0.0, at.timestamp() - self._firsts[key])

    def _first_s(self, at: datetime, *, of_admin: bool) -> float | None:
        """Epoch second at which a source first answered, of all that is kept; None before that."""
        chosen = f"target = '{ADMIN}'" if of_admin else f"target NOT LIKE '{ADMIN}%'"
        rows = self._store.query_over(
            "targets",
            at - timedelta(days=62),
            at,
            lambda kept: (
                f"SELECT epoch_us(min(ts)) AS first FROM {kept} WHERE cluster = $cluster AND up AND {chosen} "
                "AND ts <= timezone('UTC', $at::TIMESTAMP)"
            ),
            {"cluster": self._cluster, "at": str(instant(at))},
        )
        first = np.ma.filled(np.ma.asarray(rows["first"], dtype=np.float64), np.nan)[0]
        return None if np.isnan(first) else float(first) / MICRO

    # What is read once per instant

    def _structure(self, at: datetime) -> Structure:
        return _kept(self._structures, at, lambda: structure.load(self._store, self._cluster, at))

    def _window(self, at: datetime, window_s: float) -> Window:
        return _kept(self._windows, (at, window_s), lambda: self._summarise(at, window_s))

    def _summarise(self, at: datetime, window_s: float) -> Window:
        since = at - timedelta(seconds=window_s)
        parameters = {"since": str(instant(since)), "at": str(instant(at))}
        between = "ts > timezone('UTC', $since::TIMESTAMP) AND ts <= timezone('UTC', $at::TIMESTAMP)"

        def question(kept: str) -> str:
            picked = ""
            if window_s > 3600:
                rounds = self._store.relation("targets", since, at)
                rank = "dense_rank() OVER (ORDER BY ts DESC)"
                step = f"greatest(1, (SELECT count(DISTINCT ts) FROM {rounds} WHERE {between}) // {MOST_ROUNDS})"
                picked = (
                    f"AND ts IN (SELECT ts FROM (SELECT ts, {rank} AS n FROM {rounds} WHERE {between}) "
                    f"WHERE (n - 1) % {step} = 0)"
                )
            return f"SELECT series, ts, value FROM {kept} WHERE {between} {picked}"

        samples = self._store.query_over("samples", since, at, question, parameters)
        self._catalog.refresh()
        at_us = int(instant(at).astype(np.int64))
        return summarise(samples, self._catalog, self._broker_ids(at), at_us, self._stale_us(at))

    def _stale_us(self, at: datetime) -> int:
        """Older than this is not now: two intervals, and what the newest round took to look."""
        return int((2 * self._interval_s + 2 + self._structure(at).took_s) * MICRO)

    def _broker_ids(self, at: datetime) -> dict[str, str]:
        return self._identities(at)[0]

    def _identities(self, at: datetime) -> tuple[dict[str, str], dict[str, str]]:
        """Target to broker, and to why it has none."""
        nodes = self._structure(at).nodes
        return identity.broker_ids(self._catalog.targets, nodes, self._catalog.brokers, self._configured)

    def _refuse_unknown(self, view: str, found: Structure) -> None:
        if not found.seen:
            raise NoData("nothing has been collected yet: the first round is under way")
        admin = found.seen.get(ADMIN)
        if view in STRUCTURE_VIEWS and (admin is None or not found.topology_known):
            raise NoData(f"the cluster's topology is not known: {admin.reason if admin else 'no bootstrap server'}")
        for area, views in (("topic configs", "topic_config"), ("broker configs", "broker_config")):
            if view == views and not len(found.configs["owner"]):
                note = found.seen.get(f"{ADMIN}/{area}")
                raise NoData(f"{area} could not be read: {note.reason if note else 'not read yet'}")
        note = found.seen.get(f"{ADMIN}/groups")
        if view in ("group_state", "group_lag") and note is not None and note.at_us == (admin.at_us if admin else 0):
            raise NoData(f"groups could not be read: {note.reason}")

    # The tables of the views' SQL

    def _table(self, name: str, at: datetime, window_s: float) -> Columns:
        found = self._structure(at)
        age = np.nan if found.admin_age_s is None else found.admin_age_s
        if name == "brokers":
            return self._brokers(at, window_s)
        if name in ("partitions", "groups", "members", "configs", "log_dirs", "security"):
            columns: Columns = getattr(found, name)
            return {**columns, "age_s": np.full(len(next(iter(columns.values()))), age)}
        if name == "targets":
            return self._targets(at)
        if name == "whereabouts":
            return self._whereabouts(found)
        if name == "events":
            return self._events(at, window_s)
        if name == "quantiles":
            return p99s(self._window(at, window_s))
        if name == "told":
            return self._told(at, window_s)
        if name == "charges":
            return self._charges(at, window_s)
        return self._history(at, window_s)

    def _brokers(self, at: datetime, window_s: float) -> Columns:
        found = self._structure(at)
        window = self._window(at, max(window_s, 2 * self._stale_us(at) / MICRO))
        answering = {
            broker: (found.at_us - seen.ok_us) / MICRO
            for target, broker in self._broker_ids(at).items()
            if (seen := found.seen.get(target)) is not None
            and seen.ok_us is not None
            and found.at_us - seen.ok_us <= self._stale_us(at)
        }
        admin_age = found.admin_age_s
        admin_fresh = admin_age is not None and admin_age * MICRO <= self._stale_us(at)
        listed = dict(zip(found.nodes["broker"].tolist(), found.nodes["rack"].tolist(), strict=True))
        hosts = dict(zip(found.nodes["broker"].tolist(), found.nodes["host"].tolist(), strict=True))
        lost = dict(zip(found.lost["broker"].tolist(), found.lost["rack"].tolist(), strict=True))
        known = {**dict.fromkeys([*found.holders, *answering]), **lost, **listed}
        if not known:
            raise NoData("no broker is known yet")
        registered = self._registered(at, window)
        sure = listed.keys() if (admin := found.seen.get(ADMIN)) is not None and admin.up else ()
        stays = [broker for broker in known if registered is None or broker in registered or broker in sure]
        order = sorted(stays, key=lambda broker: (len(broker), broker))
        up = [(broker in listed and admin_fresh) or broker in answering for broker in order]
        kind = self._kind or self._kind_of(window)
        return {
            "broker": texts(list(order)),
            "resource": texts([resource_id(self._cluster, "broker", broker) for broker in order]),
            "kind": texts([kind] * len(order)),
            "rack": texts([known[broker] or self._zones.of(hosts.get(broker)) for broker in order]),
            "up": objects(up),
            "cores": objects([self._cores] * len(order)),
            "instance_type": texts([self._instance_type] * len(order)),
            "topology_known": objects([found.topology_known] * len(order)),
            "age_s": objects([answering.get(broker, admin_age) for broker in order]),
        }

    def _whereabouts(self, found: Structure) -> Columns:
        """The zones of clients by the addresses of their group members."""
        members = zip(found.members["client_id"].tolist(), found.members["host"].tolist(), strict=True)
        zones = self._zones.of_clients(members)
        return {"client_id": texts(list(zones)), "zone": texts(list(zones.values()))}

    def _kind_of(self, window: Window) -> str:
        measures = set(window.measure.tolist())
        if "broker_info" in measures or self._catalog.brokers:
            return "bundled"
        return "automq" if "automq_marker" in measures else "kafka"

    def _registered(self, at: datetime, window: Window) -> set[str] | None:
        """The brokers that the cluster's own registry counts on, by every broker that answered the newest scrape.

        One that is missing there has signed off; one that died is still in it. None where no source tells (Apache
        Kafka), so that there nobody leaves unseen.
        """
        speaking = {
            broker
            for target, broker in self._broker_ids(at).items()
            if (seen := self._structure(at).seen.get(target)) is not None and seen.up
        }
        rows = window.only(("registered_broker",))
        columns = (rows[name].tolist() for name in ("broker", "broker_id", "last"))
        named = {id for broker, id, last in zip(*columns, strict=True) if broker in speaking and last == last}
        return named or None

    def _targets(self, at: datetime) -> Columns:
        found = self._structure(at)
        self._catalog.refresh()
        refused = self._identities(at)[1]
        newest = max((seen.at_us for seen in found.seen.values()), default=0)
        current = {name: seen for name, seen in found.seen.items() if seen.at_us == newest}
        return {
            "target": texts(list(current)),
            "up": objects([seen.up for seen in current.values()]),
            "reason": texts([seen.reason or refused.get(name) for name, seen in current.items()]),
            "ok_us": objects([seen.ok_us for seen in current.values()]),
            "age_s": np.full(len(current), (found.at_us - newest) / MICRO),
        }

    def _events(self, at: datetime, window_s: float) -> Columns:
        since = at - timedelta(seconds=window_s)
        rows = self._store.query_over(
            "events",
            since,
            at,
            lambda kept: (
                f"SELECT epoch_us(ts) AS at_us, resource, kind, source, detail FROM {kept} WHERE cluster = $cluster "
                "AND ts > timezone('UTC', $since::TIMESTAMP) AND ts <= timezone('UTC', $at::TIMESTAMP)"
            ),
            {"cluster": self._cluster, "since": str(instant(since)), "at": str(instant(at))},
        )
        return {**rows, "age_s": (int(instant(at).astype(np.int64)) - rows["at_us"]) / MICRO}

    def _charges(self, at: datetime, window_s: float) -> Columns:
        if self._money is None:
            raise NoData("no price book is loaded")
        if window_s >= DAY_S:
            return self._settled(self._money, at, window_s)
        brokers = self._brokers(at, window_s)
        charges = self._money.charges(
            usage(self._cluster, self._window(at, window_s), brokers, self._structure(at).partitions)
        )
        return {
            "component": texts([charge.component for charge in charges]),
            "for_resource": texts([charge.for_resource for charge in charges]),
            "usd_per_hour": objects([charge.usd_per_hour for charge in charges]),
            "basis": texts(["meter"] * len(charges)),
            "price_date": texts([self._money.price_date.isoformat()] * len(charges)),
            "age_s": np.zeros(len(charges)),
        }

    def _settled(self, money: Money, at: datetime, window_s: float) -> Columns:
        """Closed days of the window, on both bases; a bill's own names for things are kept under `<cluster>/bill/`."""
        rows = money.settled(at - timedelta(seconds=window_s), at)
        inside = f"{encode(self._cluster)}/"
        named = [
            row.resource if row.resource.startswith(inside) else resource_id(self._cluster, "bill", row.resource)
            for row in rows
        ]
        return {
            "component": texts([row.component for row in rows]),
            "for_resource": texts(list(named)),
            "usd_per_hour": objects([row.usd_per_hour for row in rows]),
            "basis": texts([row.basis for row in rows]),
            "price_date": texts([money.price_date.isoformat() if row.basis == "meter" else None for row in rows]),
            "age_s": np.zeros(len(rows)),
        }

    def _told(self, at: datetime, window_s: float) -> Columns:
        found = telemetry.told(self._store, self._catalog, at, window_s, self._stale_us(at))
        if found is None:
            raise NoData("no client reports its own metrics, neither to a bundled broker (KIP-714) nor here by OTLP")
        return found

    def _history(self, at: datetime, window_s: float) -> Columns:
        """`topic_read_age_s:T` in at most 200 buckets of at least a minute."""
        since = at - timedelta(seconds=window_s)
        bucket_s = max(60.0, window_s / 200)
        rows = self._store.query_over(
            "samples",
            since,
            at,
            lambda kept: (
                "SELECT 'topic_read_age_s' AS measure, s.labels['topic'] AS subject, "
                "(floor(epoch(x.ts) / $bucket) * $bucket * 1000000)::BIGINT AS bucket_us, "
                "min(value) AS low, max(value) AS high, avg(value) AS mean, arg_max(value, x.ts) AS newest, "
                f"epoch_us(max(x.ts)) AS seen_us FROM {kept} x JOIN series s ON s.id = x.series "
                "WHERE s.cluster = $cluster AND s.name = 'agent_read_age_seconds' "
                "AND x.ts > timezone('UTC', $since::TIMESTAMP) AND x.ts <= timezone('UTC', $at::TIMESTAMP) GROUP BY ALL"
            ),
            {"cluster": self._cluster, "since": str(instant(since)), "at": str(instant(at)), "bucket": bucket_s},
        )
        size = len(rows["subject"])
        return {
            **rows,
            "resource": texts([resource_id(self._cluster, "topic", topic) for topic in rows["subject"].tolist()]),
            "bucket_s": np.full(size, bucket_s),
            "age_s": (int(instant(at).astype(np.int64)) - rows["seen_us"]) / MICRO,
        }

    def _fill_bill(self, connection: duckdb.DuckDBPyConnection, at: datetime, window_s: float) -> None:
        columns = self._money.bill(at - timedelta(seconds=window_s), at) if self._money is not None else {}
        if not columns:
            raise NoData("no bill is configured: pass --bill PATH with FOCUS files")
        resource = f"coalesce(ResourceId, {literal(self._cluster)})"
        at_us = int(instant(at).astype(np.int64))
        connection.register("raw_bill", columns)
        try:
            connection.execute(
                f"INSERT INTO bill BY NAME SELECT *, {literal(self._cluster)} AS cluster, {resource} AS resource, "
                f"make_timestamptz({at_us}::BIGINT) AS as_of, {float(window_s)}::DOUBLE AS window_s FROM raw_bill"
            )
        finally:
            connection.unregister("raw_bill")


def _kept(cache: OrderedDict[Any, Kept], key: Any, make: Callable[[], Kept]) -> Kept:
    if key not in cache:
        cache[key] = make()
        while len(cache) > KEPT:
            cache.popitem(last=False)
    return cache[key]
