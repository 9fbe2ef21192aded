"""The topic and broker configs that exist here: Kafka's names, defaults and meaning. What is not listed is refused.

A topic's value is its own, else the broker's under the synonym (dynamic for this broker, dynamic for all, then
`--config`), else the default. `stored` says in the doc where a config is kept for clients and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from broker.errors import InvalidConfig

AUTHORIZERS = (
    "",
    "StandardAuthorizer",
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.authorizer.AclAuthorizer",
)
"""What `authorizer.class.name` may say: nothing, or one of Kafka's names for what is here."""

_MAX_INT, _MAX_LONG = 2**31 - 1, 2**63 - 1


class Kind(IntEnum):
    """The type of a value, with DescribeConfigs' numbers."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    LONG = 5
    DOUBLE = 6
    LIST = 7


class Source(IntEnum):
    """Where a value comes from, with DescribeConfigs' numbers."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5


@dataclass(frozen=True, kw_only=True)
class ConfigKey:
    """One config: its type, its bounds, and what it does here."""

    name: str
    kind: Kind
    default: str
    doc: str
    low: float = -_MAX_LONG
    high: float = _MAX_LONG
    values: tuple[str, ...] = ()
    """What a string, or each item of a list, may be; empty: anything."""
    synonym: str | None = None
    """A topic config's name at the broker, where it has one."""
    read_only: bool = False
    """Set at the broker's start only."""

    def checked(self, value: str) -> str:
        """The value, stripped. InvalidConfig that names the key and what it takes."""
        text = value.strip()
        fault = _CHECKS[self.kind](self, text)
        if fault:
            raise InvalidConfig(f"Invalid value {value[:64]} for configuration {self.name}: {fault}")
        return text


def _number_fault(key: ConfigKey, text: str) -> str | None:
    try:
        number = float(text) if key.kind is Kind.DOUBLE else int(text)
    except ValueError:
        return "Not a number of type " + key.kind.name
    return None if key.low <= number <= key.high else f"Value must be between {key.low} and {key.high}"


def _boolean_fault(_key: ConfigKey, text: str) -> str | None:
    return None if text.lower() in ("true", "false") else "Expected value to be either true or false"


def _string_fault(key: ConfigKey, text: str) -> str | None:
    return None if not key.values or text in key.values else f"String must be one of: {', '.join(key.values)}"


def _list_fault(key: ConfigKey, text: str) -> str | None:
    items = [item.strip() for item in text.split(",")] if text else []
    bad = [item for item in items if key.values and item not in key.values]
    return f"each must be one of: {', '.join(key.values)}" if bad else None


_CHECKS: Mapping[Kind, Callable[[ConfigKey, str], str | None]] = {
    Kind.BOOLEAN: _boolean_fault,
    Kind.STRING: _string_fault,
    Kind.INT: _number_fault,
    Kind.LONG: _number_fault,
    Kind.DOUBLE: _number_fault,
    Kind.LIST: _list_fault,
}


def _table(*keys: ConfigKey) -> dict[str, ConfigKey]:
    return {key.name: key for key in keys}


def _stored(name: str, kind: Kind, default: str, *, low: float = 0, synonym: str | None = None) -> ConfigKey:
    high = _MAX_INT if kind is Kind.INT else _MAX_LONG
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
        high=_MAX_INT,
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
        high=_MAX_INT,
        synonym="min.insync.replicas",
        doc="Stored, not enforced: a record is durable in the WAL before it is acknowledged, whoever lives.",
    ),
    _stored("message.timestamp.before.max.ms", Kind.LONG, str(_MAX_LONG)),
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
        default=str(_MAX_LONG),
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
    _stored("flush.messages", Kind.LONG, str(_MAX_LONG), low=1, synonym="log.flush.interval.messages"),
    _stored("flush.ms", Kind.LONG, str(_MAX_LONG), synonym="log.flush.interval.ms"),
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


def _fixed(name: str, kind: Kind, default: str, doc: str) -> ConfigKey:
    return ConfigKey(name=name, kind=kind, default=default, doc=doc, read_only=True)


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
    _fixed("broker.id", Kind.INT, "-1", "This broker's id."),
    _fixed("node.id", Kind.INT, "-1", "This broker's id."),
    _fixed("broker.rack", Kind.STRING, "", "The zone this broker is in."),
    _fixed("listeners", Kind.LIST, "", "Where this broker listens."),
    _fixed("advertised.listeners", Kind.LIST, "", "Where clients are told to find this broker."),
    _fixed("auto.create.topics.enable", Kind.BOOLEAN, "true", "Whether asking for a topic's metadata creates it."),
    _fixed("delete.topic.enable", Kind.BOOLEAN, "true", "Topics can be deleted."),
    _fixed("num.partitions", Kind.INT, "1", "Partitions of a topic that was created without saying how many."),
    _fixed("default.replication.factor", Kind.INT, "1", "Replicas of a topic created without saying how many."),
    _fixed("offsets.topic.num.partitions", Kind.INT, "50", "Partitions of __consumer_offsets."),
    _fixed("offsets.topic.replication.factor", Kind.INT, "3", "Brokers that may lead a partition of it."),
    _fixed("offsets.retention.minutes", Kind.INT, "10080", "How long an empty group's offsets are kept."),
    _fixed("offset.metadata.max.bytes", Kind.INT, "4096", "What a client may attach to a committed offset."),
    _fixed("group.initial.rebalance.delay.ms", Kind.INT, "3000", "How long an empty group waits for members."),
    _fixed("group.min.session.timeout.ms", Kind.INT, "6000", "The shortest session a member may ask for."),
    _fixed("group.max.session.timeout.ms", Kind.INT, "1800000", "The longest session a member may ask for."),
    _fixed("group.consumer.session.timeout.ms", Kind.INT, "45000", "How long a member of KIP-848 may be silent."),
    _fixed("group.consumer.heartbeat.interval.ms", Kind.INT, "5000", "How often a member of KIP-848 is to speak."),
    _fixed("group.consumer.assignors", Kind.LIST, "uniform,range", "Assignors of the broker, the default first."),
    _fixed("offsets.retention.check.interval.ms", Kind.LONG, "600000", "How often old offsets are looked for."),
    _fixed("group.max.size", Kind.INT, "1000", "Members of one group at most."),
    _fixed("socket.request.max.bytes", Kind.INT, "104857600", "The largest request."),
    _fixed("connections.max.idle.ms", Kind.LONG, "600000", "After how long a silent client is hung up on."),
    _fixed(
        "max.incremental.fetch.session.cache.slots",
        Kind.INT,
        "1000",
        "How many clients' fetch sessions are kept; others send whole requests.",
    ),
    _fixed(
        "telemetry.push.interval.ms",
        Kind.INT,
        "30000",
        "How often clients are asked to report their own metrics (KIP-714); 0 asks for none.",
    ),
    _fixed("fetch.max.bytes", Kind.INT, "57671680", "The largest answer to one Fetch."),
    ConfigKey(
        name="authorizer.class.name",
        kind=Kind.STRING,
        default="",
        values=AUTHORIZERS,
        doc="StandardAuthorizer: ACLs are heeded, and what none allows is refused. Empty: everybody may do everything.",
        read_only=True,
    ),
    _fixed("super.users", Kind.STRING, "", "Principals that may do everything: User:NAME, semicolons between."),
    _fixed(
        "allow.everyone.if.no.acl.found",
        Kind.BOOLEAN,
        "false",
        "Whether a resource that no ACL is about is everybody's.",
    ),
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
        found = next(self._at_topic(key, own))
        return Value(key=key, value=found.value, source=found.source)

    def synonyms(self, key: ConfigKey, own: Mapping[str, str] | None = None) -> tuple[Value, ...]:
        """Every value that is set for it, the one that holds first, the default last. `own` says that it is a topic's,
        and what the topic was given.
        """
        return tuple(self._at_broker(key) if own is None else self._at_topic(key, own))

    def _at_topic(self, key: ConfigKey, own: Mapping[str, str]) -> Iterator[Value]:
        if key.name in own:
            yield Value(key=key, value=own[key.name], source=Source.TOPIC)
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
