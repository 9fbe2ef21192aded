"""Makes the image from SQL: all of it at first, and later only what `changes` names (law 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

from broker.metadata.acls import ACLS, load_acls
from broker.metadata.database import Tx
from broker.metadata.image import NOBODY, PEER_LISTENER, Broker, Image, Partition, Recovery, Topic
from broker.metadata.quotas import QUOTAS, load_quotas
from broker.metadata.rows import Beat
from broker.metadata.scram import SCRAM, load_scram

TOPIC, BROKERS, CONFIGS, DUTIES = "topic", "brokers", "configs", "duties"
"""Kinds of change. DUTIES: the controller and the recoveries; a TOPIC change has the topic id's hex as its key."""


def load(tx: Tx, old: Image | None) -> tuple[Image, list[Beat]]:
    """The newest image, built on `old` where the changes since then are all known, and every live broker's
    heartbeat.
    """
    (version,) = tx.one("SELECT version FROM version")
    beats = [Beat(id=i, epoch=e, counter=c) for i, e, c in tx.all("SELECT id, epoch, heartbeat FROM brokers")]
    if old is None or old.version == 0:
        return _all(tx, version), beats
    if old.version == version:
        return old, beats
    changes = tx.all("SELECT version, kind, key FROM changes WHERE version > ? ORDER BY version", old.version)
    if not changes or changes[0][0] != old.version + 1:
        return _all(tx, version), beats
    return _patched(tx, old, version, {(kind, key) for _, kind, key in changes}), beats


def _all(tx: Tx, version: int) -> Image:
    (cluster_id,) = tx.one("SELECT id FROM cluster")
    brokers = _brokers(tx)
    configs = _configs(tx)
    topics = _topics(tx, brokers, configs, None)
    return Image(
        version=version,
        cluster_id=cluster_id,
        controller=_controller(tx),
        brokers=brokers,
        topics=MappingProxyType({topic.name: topic for topic in topics}),
        by_id=MappingProxyType({topic.id: topic for topic in topics}),
        broker_configs=_broker_configs(configs),
        resource_configs=_resource_configs(configs),
        recoveries=_recoveries(tx),
        acls=load_acls(tx),
        scram=load_scram(tx),
        quotas=load_quotas(tx),
    )


def _patched(tx: Tx, old: Image, version: int, changes: set[tuple[str, str]]) -> Image:
    kinds = {kind for kind, _ in changes}
    brokers = _brokers(tx) if BROKERS in kinds else old.brokers
    configs = _configs(tx) if kinds & {CONFIGS, TOPIC} else {}
    by_id = dict(old.by_id)
    changed = {UUID(hex=key) for kind, key in changes if kind == TOPIC}
    for gone in changed:
        by_id.pop(gone, None)
    by_id.update((topic.id, topic) for topic in _topics(tx, brokers, configs, changed))
    if CONFIGS in kinds:
        by_id = {key: _with_configs(topic, configs.get(("topic", topic.name), {})) for key, topic in by_id.items()}
    if BROKERS in kinds:
        by_id = {key: _with_live_isr(topic, brokers) for key, topic in by_id.items()}
    return Image(
        version=version,
        cluster_id=old.cluster_id,
        controller=_controller(tx),
        brokers=brokers,
        topics=MappingProxyType({topic.name: topic for topic in by_id.values()}),
        by_id=MappingProxyType(by_id),
        broker_configs=_broker_configs(configs) if CONFIGS in kinds else old.broker_configs,
        resource_configs=_resource_configs(configs) if CONFIGS in kinds else old.resource_configs,
        recoveries=_recoveries(tx),
        acls=load_acls(tx) if ACLS in kinds else old.acls,
        scram=load_scram(tx) if SCRAM in kinds else old.scram,
        quotas=load_quotas(tx) if QUOTAS in kinds else old.quotas,
    )


def _controller(tx: Tx) -> int:
    return int(tx.one("SELECT broker FROM controller")[0])


def _recoveries(tx: Tx) -> Mapping[int, Recovery]:
    rows = tx.all("SELECT broker, broker_epoch, recoverer, epoch FROM recoveries")
    return MappingProxyType({b: Recovery(broker=b, broker_epoch=e, recoverer=r, epoch=n) for b, e, r, n in rows})


def _brokers(tx: Tx) -> Mapping[int, Broker]:
    rows = tx.all(
        "SELECT id, epoch, listeners, http, zone, alive, cordoned, spot, version, host_id, wal_url,"
        " started_at_ms, registered_at_ms,"
        " EXISTS(SELECT 1 FROM departed d WHERE d.broker = brokers.id AND d.epoch = brokers.epoch)"
        " FROM brokers ORDER BY id"
    )
    return MappingProxyType({row[0]: _broker(*row) for row in rows})


def _broker(
    id: int,
    epoch: int,
    listeners: str,
    http: str,
    zone: str | None,
    alive: int,
    cordoned: int,
    spot: int,
    version: str,
    host_id: str,
    wal_url: str,
    started_at_ms: int,
    registered_at_ms: int,
    departed: int,
) -> Broker:
    found: dict[str, tuple[str, int]] = {name: (host, port) for name, (host, port) in json.loads(listeners).items()}
    return Broker(
        id=id,
        epoch=epoch,
        listeners=MappingProxyType({name: address for name, address in found.items() if name != PEER_LISTENER}),
        peer_address=found.get(PEER_LISTENER),
        http=http,
        zone=zone,
        alive=bool(alive),
        cordoned=bool(cordoned),
        spot=bool(spot),
        version=version,
        host_id=host_id,
        wal_url=wal_url,
        started_at_ms=started_at_ms,
        registered_at_ms=registered_at_ms,
        departed=bool(departed),
    )


Configs = dict[tuple[str, str], dict[str, str]]


def _configs(tx: Tx) -> Configs:
    found: Configs = {}
    for kind, name, key, value in tx.all("SELECT kind, name, key, value FROM configs"):
        found.setdefault((kind, name), {})[key] = value
    return found


def _broker_configs(configs: Configs) -> Mapping[int | None, Mapping[str, str]]:
    return MappingProxyType(
        {
            int(name) if name else None: MappingProxyType(values)
            for (kind, name), values in configs.items()
            if kind == "broker"
        }
    )


def _resource_configs(configs: Configs) -> Mapping[tuple[str, str], Mapping[str, str]]:
    return MappingProxyType(
        {key: MappingProxyType(values) for key, values in configs.items() if key[0] not in ("topic", "broker")}
    )


def _topics(tx: Tx, brokers: Mapping[int, Broker], configs: Configs, only: set[UUID] | None) -> list[Topic]:
    """All topics, or only those with the given ids."""
    partitions: dict[bytes, list[Partition]] = {}
    names: dict[bytes, tuple[str, bool]] = {}
    for topic_id, name, internal in _select(tx, "SELECT id, name, internal FROM topics", "id", only, "ORDER BY id"):
        names[topic_id] = (name, bool(internal))
    sql = "SELECT topic_id, uid, idx, owner, epoch, replicas, target FROM partitions"
    for topic_id, uid, index, owner, epoch, replicas, target in _select(tx, sql, "topic_id", only, "ORDER BY idx"):
        ids = _ids(replicas)
        if owner != NOBODY and owner not in ids:
            ids = (*ids, owner)
        partition = Partition(
            uid=uid,
            topic_id=UUID(bytes=topic_id),
            topic=names[topic_id][0],
            index=index,
            owner=owner,
            epoch=epoch,
            replicas=ids,
            isr=_isr(ids, brokers),
            target=tuple(json.loads(target)) if target else None,
        )
        partitions.setdefault(topic_id, []).append(partition)
    return [
        Topic(
            id=UUID(bytes=topic_id),
            name=name,
            partitions=tuple(partitions.get(topic_id, ())),
            configs=MappingProxyType(configs.get(("topic", name), {})),
            internal=internal,
        )
        for topic_id, (name, internal) in names.items()
    ]


def _select(tx: Tx, sql: str, column: str, only: set[UUID] | None, order: str) -> list[Any]:
    if only is None:
        return tx.all(f"{sql} {order}")
    return tx.among(f"{sql} WHERE {column} IN ({{keys}}) {order}", [key.bytes for key in only])


@lru_cache(4096)
def _ids(replicas: str) -> tuple[int, ...]:
    """A cluster has few distinct lists: each is parsed, and held, once."""
    return tuple(json.loads(replicas))


def _isr(replicas: tuple[int, ...], brokers: Mapping[int, Broker]) -> tuple[int, ...]:
    """The live replicas, a leader from outside among them: the data is with it."""
    return tuple(i for i in replicas if i in brokers and brokers[i].alive)


def _with_configs(topic: Topic, configs: dict[str, str]) -> Topic:
    """The same topic where nothing changed: what is cached of it (k03) stays good."""
    return topic if topic.configs == configs else replace(topic, configs=MappingProxyType(configs))


def _with_live_isr(topic: Topic, brokers: Mapping[int, Broker]) -> Topic:
    partitions = tuple(
        p if (isr := _isr(p.replicas, brokers)) == p.isr else replace(p, isr=isr) for p in topic.partitions
    )
    return topic if partitions == topic.partitions else replace(topic, partitions=partitions)
