"""What every client produces, and whether what it read back is that: values, keys, headers, and order per partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PARTITIONS = 6
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One record as it was sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, kw_only=True, slots=True)
class Got:
    """One record as it was read."""

    partition: int
    offset: int
    record: Record


def got_of(message: Any) -> Got:
    """A message as kafka-python and aiokafka give it."""
    record = Record(key=message.key, value=message.value, headers=tuple(message.headers))
    return Got(partition=message.partition, offset=message.offset, record=record)


def record(number: int) -> Record:
    """The record of that number: its value names it, its key repeats every 997, its headers tell it too."""
    return Record(
        key=b"key-%d" % (number % 997),
        value=b"value-%08d-%s" % (number, b"x" * (number % 120)),
        headers=(("number", b"%d" % number), ("empty", b"")),
    )


def records(count: int, first: int = 0) -> list[Record]:
    """`count` of them, from the one with that number on."""
    return [record(number) for number in range(first, first + count)]


def differences(sent: list[Record], got: Iterable[Got], *, gaps: bool = False) -> list[str]:
    """What is not as it was sent, in words; empty when all is equal. `gaps`: offsets may be left out (transactions)."""
    place = {record.value: number for number, record in enumerate(sent)}
    seen: Counter[bytes | None] = Counter()
    last: dict[int, tuple[int, int]] = {}
    faults: list[str] = []
    for each in sorted(got, key=lambda one: (one.partition, one.offset)):
        number = place.get(each.record.value)
        if number is None:
            faults.append(f"partition {each.partition} offset {each.offset}: a value that was never sent")
            continue
        seen[each.record.value] += 1
        if each.record != sent[number]:
            faults.append(f"record {number}: sent {_short(sent[number])}, got {_short(each.record)}")
        offset, before = last.get(each.partition, (-1, -1))
        if number <= before:
            faults.append(f"partition {each.partition}: record {number} stands after record {before}")
        if each.offset <= offset or (each.offset != offset + 1 and not gaps):
            faults.append(f"partition {each.partition}: offset {each.offset} stands after offset {offset}")
        last[each.partition] = (each.offset, number)
    lost = len(sent) - len(seen)
    if lost:
        faults.append(f"{lost} records are missing")
    twice = sum(count - 1 for count in seen.values())
    if twice:
        faults.append(f"{twice} records were read twice")
    if len(last) < 2 <= len(sent) // 100:
        faults.append(f"the records are in {len(last)} partition only")
    return faults


def _short(record: Record) -> str:
    """A record without the middle of what is long."""
    text = str(record)
    return text if len(text) <= 300 else f"{text[:200]}...{text[-60:]} ({len(text)} characters)"
