"""A partition's producers as bytes, committed with each range; numbers are big-endian.

    plain         for each producer     int64 id | int16 epoch | int8 n | n batches
    with markers  int64 -2 | int8 1 | int32 producers | int32 aborted
                  for each producer     int64 id | int16 epoch | int8 n | int64 first offset of what is open, or -1
                                        int32 coordinator epoch | int64 offset of the last marker | int64 ms | n batches
                  for each aborted      int64 id | int64 first offset | int64 marker's | int64 stable
    a batch       int32 first sequence | int32 last | int64 base offset | int64 end offset

The plain form is written where nobody had a transaction: a broker of the release before reads it too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from broker.errors import KafkaStorageError
from broker.log.undecided import Aborted

_PLAIN = struct.Struct(">qhB")
_HEAD = struct.Struct(">qBII")
_PRODUCER = struct.Struct(">qhBqiqq")
_WRITTEN = struct.Struct(">iiqq")
_ABORTED = struct.Struct(">qqqq")
_WITH_MARKERS, _VERSION = -2, 1
_MARK = struct.Struct(">q")
NOTHING = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """One batch that was appended."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    end_offset: int


@dataclass(kw_only=True, slots=True)
class Producer:
    """What is known of one producer; its open transaction is among the partition's `Transactions`."""

    epoch: int
    last: list[Written] = field(default_factory=list)
    coordinator_epoch: int = NOTHING
    """Of the last marker."""
    marker: int = NOTHING
    """Offset of the last marker."""
    at_ms: int = NOTHING
    """Timestamp of what it wrote last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything a snapshot holds."""

    producers: dict[int, Producer]
    opened: dict[int, int]
    aborted: list[Aborted]


def pack(state: State) -> bytes:
    plain = not state.opened and not state.aborted
    if plain and all(producer.coordinator_epoch == NOTHING for producer in state.producers.values()):
        return b"".join(_pack_plain(state))
    return b"".join(_pack_all(state))


def _pack_plain(state: State) -> Iterator[bytes]:
    for producer_id, producer in state.producers.items():
        if producer.last:
            yield _PLAIN.pack(producer_id, producer.epoch, len(producer.last))
            yield from _batches(producer.last)


def _pack_all(state: State) -> Iterator[bytes]:
    yield _HEAD.pack(_WITH_MARKERS, _VERSION, len(state.producers), len(state.aborted))
    for producer_id, one in state.producers.items():
        opened = state.opened.get(producer_id, NOTHING)
        yield _PRODUCER.pack(
            *(producer_id, one.epoch, len(one.last), opened, one.coordinator_epoch, one.marker, one.at_ms)
        )
        yield from _batches(one.last)
    for each in state.aborted:
        yield _ABORTED.pack(each.producer_id, each.first, each.marker, each.stable)


def _batches(last: Sequence[Written]) -> Iterator[bytes]:
    for w in last:
        yield _WRITTEN.pack(w.first_sequence, w.last_sequence, w.base_offset, w.end_offset)


def unpack(data: bytes) -> State:
    """KafkaStorageError for a form that a newer broker wrote."""
    if len(data) >= _MARK.size and _MARK.unpack_from(data)[0] == _WITH_MARKERS:
        return _unpack_all(data)
    producers: dict[int, Producer] = {}
    at = 0
    while at < len(data):
        producer_id, epoch, count = _PLAIN.unpack_from(data, at)
        at += _PLAIN.size
        producers[producer_id] = Producer(epoch=epoch, last=_unpack_batches(data, at, count))
        at += count * _WRITTEN.size
    return State(producers=producers, opened={}, aborted=[])


def _unpack_all(data: bytes) -> State:
    _, version, producer_count, aborted_count = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise KafkaStorageError(f"producer snapshot of version {version}; this broker reads {_VERSION}: upgrade it")
    at = _HEAD.size
    state = State(producers={}, opened={}, aborted=[])
    for _ in range(producer_count):
        producer_id, epoch, count, opened, coordinator_epoch, marker, at_ms = _PRODUCER.unpack_from(data, at)
        at += _PRODUCER.size
        last = _unpack_batches(data, at, count)
        at += count * _WRITTEN.size
        state.producers[producer_id] = Producer(
            epoch=epoch, last=last, coordinator_epoch=coordinator_epoch, marker=marker, at_ms=at_ms
        )
        if opened != NOTHING:
            state.opened[producer_id] = opened
    for number in range(aborted_count):
        producer_id, first, marker, stable = _ABORTED.unpack_from(data, at + number * _ABORTED.size)
        state.aborted.append(Aborted(producer_id=producer_id, first=first, marker=marker, stable=stable))
    ordered = dict(sorted(state.opened.items(), key=lambda item: item[1]))
    return State(producers=state.producers, opened=ordered, aborted=state.aborted)


def _unpack_batches(data: bytes, at: int, count: int) -> list[Written]:
    return [
        Written(first_sequence=first, last_sequence=final, base_offset=base, end_offset=end)
        for first, final, base, end in (_WRITTEN.unpack_from(data, at + n * _WRITTEN.size) for n in range(count))
    ]
