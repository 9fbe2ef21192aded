"""One Produce under way: its records go into the logs, and when the last of them is durable, or the client's patience
is over, the answer is made, once.

No task, future or timer is made for it: with small batches those would cost more than everything else. So each
partition's part is itself what its log tells the outcome (a `Promise`), and one look ten times a second ends what has
waited too long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from broker.api.confirming import Begun
from broker.api.context import Context
from broker.api.topics import allowed_topic, configs_of, endpoints_on
from broker.errors import (
    InvalidRecord,
    InvalidRequiredAcks,
    InvalidTopic,
    InvalidTxnState,
    KafkaError,
    LeaderMoved,
    MessageTooLarge,
    RequestTimedOut,
    UnsupportedForMessageFormat,
    code_of,
)
from broker.log.answers import Appended
from broker.metadata.image import Image, Topic
from broker.records.batch import Batch, batches, check_produced, is_transactional, stamp
from broker.records.contents import LyingRecords, lacks_key
from broker.security.access import Operation
from broker.wire.produce import ProduceAnswer, ProducedPartition, ProducePartition, ProduceRequest

_ACKS = (0, 1, -1)
Answered = Callable[[ProduceAnswer | Exception], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What records for a topic have to be like."""

    topic: Topic
    is_compacted: bool
    most_bytes: int
    """max.message.bytes"""
    is_stamped: bool
    """Whether timestamps are the broker's."""


class Part:
    """One partition's records on their way to the disk."""

    __slots__ = ("_whole", "asked", "found", "outcome", "topic")

    def __init__(self, whole: Appending, topic: str, asked: ProducePartition) -> None:
        self._whole, self.topic, self.asked = whole, topic, asked
        self.found: Sequence[Batch] = ()
        self.outcome: Appended | BaseException | None = None

    def done(self) -> bool:
        return self.outcome is not None

    def set_result(self, result: Appended) -> None:
        self.outcome = result
        self._whole.one_less()

    def set_exception(self, error: BaseException) -> None:
        self.outcome = error
        self._whole.one_less()

    def exception(self) -> BaseException | None:
        return self.outcome if isinstance(self.outcome, BaseException) else None


class Appending:
    """`append` each topic in the request's order, then `appended`; `answered` is called when all is told."""

    __slots__ = ("_answered", "_context", "_image", "_left", "_request", "_topics", "over", "until")

    def __init__(self, context: Context, request: ProduceRequest, answered: Answered) -> None:
        self._context, self._request = context, request
        self._answered = answered
        self._image: Image = context.metadata.image
        self._topics: list[tuple[str | UUID, list[Part]]] = []
        self._left = 1
        """Parts without an outcome, and one until `appended`."""
        self.over, self.until = False, 0.0

    def append(self, key: str | UUID, partitions: Sequence[ProducePartition], begun: Begun) -> None:
        """Queues the records for some partitions of a topic; does not wait, and raises nothing that belongs to a
        partition.
        """
        parts: list[Part] = []
        self._topics.append((key, parts))
        try:
            rules = _rules(self._context, self._image, key)
        except KafkaError as error:
            for asked in partitions:
                refused = Part(self, str(key), asked)
                refused.outcome = error
                parts.append(refused)
            return
        for asked in partitions:
            part = Part(self, rules.topic.name, asked)
            parts.append(part)
            self._left += 1
            try:
                self._take(part, rules, begun.guard(key, asked.index))
            except KafkaError as error:
                part.set_exception(error)

    def _take(self, part: Part, rules: Rules, guard: object) -> None:
        asked, request = part.asked, self._request
        part.found = _checked(request, rules, asked)
        log = self._context.logs.get(part.topic, asked.index)
        if rules.is_stamped:
            for batch in part.found:
                stamp(asked.records, batch, self._context.clock.wall_ms())  # type: ignore[arg-type]
            part.found = tuple(batches(asked.records or b""))
        log.take(asked.records, part.found, request.acks, guard, part)

    def appended(self) -> None:
        """Everything is queued: from now on the client's patience counts."""
        if self._left > 1:
            self._context.connection.patience.begin(self, self._request.timeout_ms)
        self.one_less()

    def one_less(self) -> None:
        self._left -= 1
        if not self._left and not self.over:
            self._answer()

    def expire(self) -> None:
        """Nobody is cancelled: the WAL will finish."""
        self._answer()

    def _answer(self) -> None:
        """Whatever goes wrong in it stays in it: the log that called has others to tell."""
        self.over = True
        answer: ProduceAnswer | Exception
        try:
            answer = self._made()
        except Exception as fault:
            answer = fault
        self._topics = []  # what is late keeps no records
        self._answered(answer)

    def _made(self) -> ProduceAnswer:
        context = self._context
        topics, leaders = [], set()
        for key, parts in self._topics:
            told = []
            for part in parts:
                outcome = part.outcome
                if isinstance(outcome, Appended):
                    context.meter.produced(context.connection, part.topic, part.asked.index, part.found)
                    told.append(ProducedPartition(part.asked.index, 0, *outcome))
                else:
                    refused = _refused(part.asked.index, outcome)
                    leaders.add(refused.leader)
                    told.append(refused)
            topics.append((key, told))
        leaders.discard(-1)
        endpoints = endpoints_on(context.metadata.image, leaders, context.connection.listener) if leaders else ()
        return ProduceAnswer(topics, endpoints, context.logs.throttle_ms())


def _rules(context: Context, image: Image, key: str | UUID) -> Rules:
    """Worked out once for a connection and an image; why nobody may write there, as a KafkaError."""
    topic = allowed_topic(context, image, key, Operation.WRITE)
    known = context.connection.rules
    if known.of is not image:
        known.of, known.by_topic = image, {}
    rules = known.by_topic.get(topic.name)
    if rules is None:
        current = configs_of(context)
        rules = known.by_topic[topic.name] = Rules(
            topic=topic,
            is_compacted="compact" in current.topic("cleanup.policy", topic.configs).value,
            most_bytes=int(current.topic("max.message.bytes", topic.configs).value),
            is_stamped=current.topic("message.timestamp.type", topic.configs).value == "LogAppendTime",
        )
    return rules


def _checked(request: ProduceRequest, rules: Rules, asked: ProducePartition) -> Sequence[Batch]:
    if request.acks not in _ACKS:
        raise InvalidRequiredAcks(f"acks is {request.acks}; 0, 1 and -1 (all) exist")
    if rules.topic.internal:
        raise InvalidTopic(f"{rules.topic.name} is internal and takes no records")
    records = asked.records
    if not records:
        raise InvalidRecord("no record batch for the partition")
    if request.transactional_id is None and is_transactional(records):
        raise InvalidTxnState("a transactional batch in a request without a transactional id")
    if rules.is_compacted:
        _check_keys(records, rules.topic)
    if len(records) > rules.most_bytes:
        largest = max(batch.size_bytes for batch in batches(records))
        if largest > rules.most_bytes:
            raise MessageTooLarge(
                f"a batch of {largest} bytes; max.message.bytes of {rules.topic.name} is {rules.most_bytes}"
            )
    return check_produced(records)


def _check_keys(records: memoryview, topic: Topic) -> None:
    """A compacted topic needs keys. What is compressed is not opened here (law 2): the cleaner drops it."""
    for batch in batches(records):
        try:
            if batch.codec == "none" and lacks_key(records, batch):
                raise InvalidRecord(f"{topic.name} is compacted: every record needs a key")
        except LyingRecords as error:
            raise InvalidRecord(f"the records of a batch for {topic.name} cannot be read: {error}") from error


def _refused(index: int, error: BaseException | None) -> ProducedPartition:
    if error is None:
        error = RequestTimedOut("the records were not durable in time; they may become so")
    known = error if isinstance(error, LeaderMoved) else None
    code = code_of(error)
    if isinstance(error, UnsupportedForMessageFormat):
        code = InvalidRecord.code  # what Kafka answers to an old format inside a new request
    return ProducedPartition(
        index=index,
        error_code=code,
        error_message=error.message if isinstance(error, KafkaError) else None,
        leader=-1 if known is None else known.leader,
        leader_epoch=-1 if known is None else known.epoch,
    )
