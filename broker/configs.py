"""The topic and broker configs that exist here: Kafka's names, defaults and meaning. What is not listed is refused.

A topic's value is its own, else the broker's under the synonym (dynamic for this broker, dynamic for all, then
`--config`), else the default. `stored` says in the doc where a config is kept for clients and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from broker.config_keys import MAX_INT, MAX_LONG, ConfigKey, Kind, fixed
from broker.errors import InvalidConfig
from broker.guard_configs import GUARDS


class Source(IntEnum):
    """Where a value comes from, with DescribeConfigs' numbers."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    CLIENT_METRICS = 7
    GROUP = 8


def _table(*keys: ConfigKey) -> dict[str, ConfigKey]:
    return {key.name: key for key in keys}


def _stored(name: str, kind: Kind, default: str, *, low: float = 0, synonym: str | None = None) -> ConfigKey:
    high = MAX_INT if kind is Kind.INT else MAX_LONG
    doc = "Stored for clients and tools; it changes nothing here, since logs have no segments and no replica lag."
    return ConfigKey(name=name, kind=kind, default=default, doc=doc, low=low, high=high, synonym=synonym)


TOPIC_CONFIGS = _table(
    ConfigKey(
        name="cleanup.policy",
        kind=Kind.LIST,
        default="delete",
        values=("delete", "compact"),
        synonym="log.cleanup.policy",
        doc="delete: records older than retention go. compact: the last record of each key stays.",
    ),
    ConfigKey(
        name="compression.type",
        kind=Kind.STRING,
        default="producer",
        values=("producer",),
        synonym="compression.type",
        doc="Records keep the codec their producer chose: the broker never recompresses, and takes no other value.",
    ),
    ConfigKey(
        name="retention.ms",
        kind=Kind.LONG,
        default="604800000",
        low=-1,
        synonym="log.retention.ms",
        doc="How long records are kept, in milliseconds; -1 keeps them for ever.",
    ),
    ConfigKey(
        name="retention.bytes",
        kind=Kind.LONG,
        default="-1",
        low=-1,
        synonym="log.retention.bytes",
        doc="How many bytes a partition keeps; -1 is no limit.",
    ),
    ConfigKey(
        name="max.message.bytes",
        kind=Kind.INT,
        default="1048588",
        low=0,
        high=MAX_INT,
        synonym="message.max.bytes",
        doc="The largest record batch, as sent, that is accepted.",
    ),
    ConfigKey(
        name="message.timestamp.type",
        kind=Kind.STRING,
        default="CreateTime",
        values=("CreateTime", "LogAppendTime"),
        synonym="log.message.timestamp.type",
        doc="Whose clock stamps records: the producer's, or the broker's when it appends.",
    ),
    ConfigKey(
        name="min.insync.replicas",
        kind=Kind.INT,
        default="1",
        low=1,
        high=MAX_INT,
        synonym="min.insync.replicas",
        doc="Stored, not enforced: a record is durable in the WAL before it is acknowledged, whoever lives.",
    ),
    _stored("message.timestamp.before.max.ms", Kind.LONG, str(MAX_LONG)),
    _stored("message.timestamp.after.max.ms", Kind.LONG, "3600000"),
    ConfigKey(
        name="delete.retention.ms",
        kind=Kind.LONG,
        default="86400000",
        low=0,
        synonym="log.cleaner.delete.retention.ms",
        doc="How long a compacted topic keeps a tombstone (a key without a value) after the cleaner first met it.",
    ),
    ConfigKey(
        name="min.compaction.lag.ms",
        kind=Kind.LONG,
        default="0",
        low=0,
        synonym="log.cleaner.min.compaction.lag.ms",
        doc="Records younger than this are not compacted away.",
    ),
    ConfigKey(
        name="max.compaction.lag.ms",
        kind=Kind.LONG,
        default=str(MAX_LONG),
        low=1,
        doc="A log with an uncompacted record older than this is cleaned, however little of it is dirty.",
    ),
    ConfigKey(
        name="min.cleanable.dirty.ratio",
        kind=Kind.DOUBLE,
        default="0.5",
        low=0,
        high=1,
        synonym="log.cleaner.min.cleanable.ratio",
        doc="A compacted log is cleaned when more than this part of its bytes came since the last time.",
    ),
    _stored("segment.bytes", Kind.INT, "1073741824", low=14, synonym="log.segment.bytes"),
    _stored("segment.ms", Kind.LONG, "604800000", low=1, synonym="log.roll.ms"),
    _stored("segment.jitter.ms", Kind.LONG, "0"),
    _stored("segment.index.bytes", Kind.INT, "10485760", low=4, synonym="log.index.size.max.bytes"),
    _stored("index.interval.bytes", Kind.INT, "4096", synonym="log.index.interval.bytes"),
    _stored("file.delete.delay.ms", Kind.LONG, "60000", synonym="log.segment.delete.delay.ms"),
    _stored("flush.messages", Kind.LONG, str(MAX_LONG), low=1, synonym="log.flush.interval.messages"),
    _stored("flush.ms", Kind.LONG, str(MAX_LONG), synonym="log.flush.interval.ms"),
    _stored("preallocate", Kind.BOOLEAN, "false", synonym="log.preallocate"),
    _stored("unclean.leader.election.enable", Kind.BOOLEAN, "false", synonym="unclean.leader.election.enable"),
    _stored("compression.gzip.level", Kind.INT, "-1", low=-1),
    _stored("compression.lz4.level", Kind.INT, "9", low=1),
    _stored("compression.zstd.level", Kind.INT, "3", low=-131072),
    _stored("leader.replication.throttled.replicas", Kind.LIST, ""),
    _stored("follower.replication.throttled.replicas", Kind.LIST, ""),
    _stored("remote.storage.enable", Kind.BOOLEAN, "false"),
    _stored("local.retention.ms", Kind.LONG, "-2", low=-2),
    _stored("local.retention.bytes", Kind.LONG, "-2", low=-2),
)
"""What a topic can be given."""


_AT_BROKER = {
    key.synonym: ConfigKey(
        name=key.synonym,
        kind=key.kind,
        default=key.default,
        doc=f"What a topic has that does not set {key.name}. {key.doc}",
        low=key.low,
        high=key.high,
        values=key.values,
    )
    for key in TOPIC_CONFIGS.values()
    if key.synonym is not None
}

BROKER_CONFIGS: Mapping[str, ConfigKey] = _AT_BROKER | _table(
    fixed("broker.id", Kind.INT, "-1", "This broker's id."),
    fixed("node.id", Kind.INT, "-1", "This broker's id."),
    fixed("broker.rack", Kind.STRING, "", "The zone this broker is in."),
    fixed("listeners", Kind.LIST, "", "Where this broker listens."),
    fixed("streampilot.http.address", Kind.STRING, "", "Where this broker serves /metrics and /admin/v1."),
    fixed("advertised.listeners", Kind.LIST, "", "Where clients are told to find this broker."),
    fixed("auto.create.topics.enable", Kind.BOOLEAN, "true", "Whether asking for a topic's metadata creates it."),
    fixed("delete.topic.enable", Kind.BOOLEAN, "true", "Topics can be deleted."),
    fixed("num.partitions", Kind.INT, "1", "Partitions of a topic that was created without saying how many."),
    ConfigKey(
        name="max.partitions.per.request",
        kind=Kind.INT,
        default="10000",
        low=1,
        high=MAX_INT,
        doc="New partitions that one request may ask for.",
    ),
    ConfigKey(
        name="max.partitions",
        kind=Kind.INT,
        default="100000",
        low=1,
        high=MAX_INT,
        doc="Partitions of the whole cluster at most: each costs every broker memory.",
    ),
    fixed("default.replication.factor", Kind.INT, "1", "Replicas of a topic created without saying how many."),
    fixed("offsets.topic.num.partitions", Kind.INT, "50", "Partitions of __consumer_offsets."),
    fixed("offsets.topic.replication.factor", Kind.INT, "3", "Brokers that may lead a partition of it."),
    fixed("offsets.retention.minutes", Kind.INT, "10080", "How long an empty group's offsets are kept."),
    fixed("offset.metadata.max.bytes", Kind.INT, "4096", "What a client may attach to a committed offset."),
    fixed("group.initial.rebalance.delay.ms", Kind.INT, "3000", "How long an empty group waits for members."),
    fixed("group.min.session.timeout.ms", Kind.INT, "6000", "The shortest session a member may ask for."),
    fixed("group.max.session.timeout.ms", Kind.INT, "1800000", "The longest session a member may ask for."),
    fixed("group.consumer.session.timeout.ms", Kind.INT, "45000", "How long a member of KIP-848 may be silent."),
    fixed("group.consumer.heartbeat.interval.ms", Kind.INT, "5000", "How often a member of KIP-848 is to speak."),
    fixed("group.consumer.assignors", Kind.LIST, "uniform,range", "Assignors of the broker, the default first."),
    fixed("offsets.retention.check.interval.ms", Kind.LONG, "600000", "How often old offsets are looked for."),
    fixed("group.max.size", Kind.INT, "1000", "Members of one group at most."),
    fixed("group.share.session.timeout.ms", Kind.INT, "45000", "How long a member of a share group may be silent."),
    fixed("group.share.heartbeat.interval.ms", Kind.INT, "5000", "How often a member of a share group is to speak."),
    fixed("group.share.max.size", Kind.INT, "200", "Members of one share group at most."),
    fixed("group.share.record.lock.duration.ms", Kind.INT, "30000", "How long a record stays with who was given it."),
    fixed("group.share.delivery.count.limit", Kind.INT, "5", "How often a share group's record is given at most."),
    fixed(
        "group.share.partition.max.record.locks",
        Kind.INT,
        "2000",
        "Records of a partition that a share group was given and has not done with, at most.",
    ),
    fixed("group.share.max.share.sessions", Kind.INT, "2000", "Share sessions of this broker at most."),
    fixed("socket.request.max.bytes", Kind.INT, "104857600", "The largest request."),
    fixed("connections.max.idle.ms", Kind.LONG, "600000", "After how long a silent client is hung up on."),
    fixed(
        "max.incremental.fetch.session.cache.slots",
        Kind.INT,
        "1000",
        "How many clients' fetch sessions are kept; others send whole requests.",
    ),
    fixed(
        "telemetry.push.interval.ms",
        Kind.INT,
        "30000",
        "How often clients are asked to report their own metrics (KIP-714); 0 asks for none.",
    ),
    fixed("fetch.max.bytes", Kind.INT, "57671680", "The largest answer to one Fetch."),
    *(
        _stored(name, Kind.LONG, str(MAX_LONG))  # kafka-reassign-partitions.sh sets and clears them around every move
        for name in (
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
            "replica.alter.log.dirs.io.max.bytes.per.second",
        )
    ),
    *GUARDS,
)
"""What a broker can be given: read-only ones at its start, the others also at run time, for one broker or for all."""


def of_topic(name: str) -> ConfigKey:
    """InvalidConfig when there is no such topic config."""
    if name not in TOPIC_CONFIGS:
        raise InvalidConfig(f"Unknown topic config name: {name[:128]}")
    return TOPIC_CONFIGS[name]


def of_broker(name: str) -> ConfigKey:
    """InvalidConfig when there is no such broker config."""
    if name not in BROKER_CONFIGS:
        raise InvalidConfig(f"Unknown broker config name: {name[:128]}")
    return BROKER_CONFIGS[name]


@dataclass(frozen=True, kw_only=True)
class Value:
    """What holds, and why."""

    key: ConfigKey
    value: str
    source: Source


@dataclass(frozen=True, kw_only=True)
class Configs:
    """The values that hold at one broker: `static` from its command line, `dynamic` from the metadata (None: all)."""

    broker_id: int
    static: Mapping[str, str]
    dynamic: Mapping[int | None, Mapping[str, str]]

    def broker(self, name: str) -> Value:
        """A broker config's value."""
        return next(self._at_broker(of_broker(name)))

    def topic(self, name: str, own: Mapping[str, str]) -> Value:
        """A topic config's value; `own` is what the topic itself was given."""
        key = of_topic(name)
        found = next(self._above_broker(key, own, Source.TOPIC))
        return Value(key=key, value=found.value, source=found.source)

    def resource(self, key: ConfigKey, own: Mapping[str, str], source: Source) -> tuple[Value, ...]:
        """The values of a config of something that is neither topic nor broker: the one that holds first, the default
        last.
        """
        return tuple(self._above_broker(key, own, source))

    def synonyms(self, key: ConfigKey, own: Mapping[str, str] | None = None) -> tuple[Value, ...]:
        """Every value that is set for it, the one that holds first, the default last. `own` says that it is a topic's,
        and what the topic was given.
        """
        return tuple(self._at_broker(key) if own is None else self._above_broker(key, own, Source.TOPIC))

    def _above_broker(self, key: ConfigKey, own: Mapping[str, str], source: Source) -> Iterator[Value]:
        if key.name in own:
            yield Value(key=key, value=own[key.name], source=source)
        if key.synonym is None:
            yield Value(key=key, value=key.default, source=Source.DEFAULT)
        else:
            yield from self._at_broker(of_broker(key.synonym))

    def _at_broker(self, key: ConfigKey) -> Iterator[Value]:
        layers = (
            (self.dynamic.get(self.broker_id, {}), Source.DYNAMIC_BROKER),
            (self.dynamic.get(None, {}), Source.DYNAMIC_DEFAULT_BROKER),
            (self.static, Source.STATIC_BROKER),
        )
        for values, source in layers:
            if key.name in values:
                yield Value(key=key, value=values[key.name], source=source)
        yield Value(key=key, value=key.default, source=Source.DEFAULT)
