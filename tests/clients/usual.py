"""The cells that are alike for every client that has a `Driver`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial

from tests.clients import reference
from tests.clients.cells import Cell, Ground
from tests.clients.driver import DOORS, LARGE_LIMIT, Driver, Reader, Reading, records_of
from tests.clients.groups import two_members
from tests.clients.near import near
from tests.clients.records import PARTITIONS, Got, Record, differences, records
from tests.clients.scrape import batches_by_codec
from tests.clients.transactions import transactions

LARGE_BYTES = 5 * 1024 * 1024
_LARGE_COUNT = 6
_POLL_S = 0.5


def cells(driver: Driver, columns: Iterable[str], codecs: Iterable[str] = ()) -> dict[str, Cell]:
    """The cells of those columns; what a client does in its own way (admin) it adds itself."""
    every: dict[str, Callable[[Driver, Ground], list[str]]] = {
        "produce": _produce,
        "consume": _consume,
        "group": two_members,
        "idempotence": partial(_produce, idempotent=True),
        "transactions": transactions,
        "codecs": partial(_codecs, codecs=tuple(codecs)),
        "headers": _headers,
        "large": _large,
        **{column: partial(_through, door=door) for column, door in DOORS.items()},
        "kip848": partial(two_members, protocol="consumer"),
        "near": near,
    }
    return {column: partial(every[column], driver) for column in columns}


def read_all(reader: Reader, count: int, timeout_s: float) -> list[Got]:
    """Until there are `count`, or the time is over."""
    got: list[Got] = []
    deadline = time.monotonic() + timeout_s
    while len(got) < count and time.monotonic() < deadline:
        got += reader.poll(_POLL_S)
    return got


def _produce(driver: Driver, ground: Ground, *, idempotent: bool = False) -> list[str]:
    sent = records_of(driver, ground.records)
    reference.create(ground, ground.name)
    with closing(driver.writer(ground, idempotent=idempotent)) as writer:
        writer.send(ground.name, sent)
    return differences(sent, reference.read(ground, ground.name, len(sent)))


def _consume(driver: Driver, ground: Ground) -> list[str]:
    sent = records_of(driver, ground.records)
    reference.create(ground, ground.name)
    reference.write(ground, ground.name, sent)
    with closing(driver.reader(ground, ground.name)) as reader:
        return differences(sent, read_all(reader, len(sent), ground.timeout_s))


def _there_and_back(
    driver: Driver, ground: Ground, topic: str, sent: list[Record], *, door: str = "", large: bool = False
) -> list[str]:
    with closing(driver.writer(ground, door=door, large=large)) as writer:
        writer.send(topic, sent)
    with closing(driver.reader(ground, topic, Reading(door=door, large=large))) as reader:
        return differences(sent, read_all(reader, len(sent), ground.timeout_s))


def _through(driver: Driver, ground: Ground, *, door: str) -> list[str]:
    reference.create(ground, ground.name)
    return _there_and_back(driver, ground, ground.name, records_of(driver, ground.records), door=door)


def _codecs(driver: Driver, ground: Ground, *, codecs: tuple[str, ...]) -> list[str]:
    faults = []
    sent = records_of(driver, ground.records // len(codecs))
    for codec in codecs:
        ours, theirs = f"{ground.name}-{codec}", f"{ground.name}-{codec}-back"
        reference.create(ground, ours)
        reference.create(ground, theirs)
        before = batches_by_codec(ground)
        with closing(driver.writer(ground, codec=codec)) as writer:
            writer.send(ours, sent)
        used = {name for name, count in batches_by_codec(ground).items() if count > before.get(name, 0)}
        reference.write(ground, theirs, sent, codec)
        with closing(driver.reader(ground, theirs)) as reader:
            read = differences(sent, read_all(reader, len(sent), ground.timeout_s))
        written = differences(sent, reference.read(ground, ours, len(sent)))
        if codec not in used or used - {codec, "none"}:  # what compression does not shrink is sent as it is
            written.append(f"its batches are compressed with {', '.join(sorted(used))}")
        faults += [f"{codec}: {fault}" for fault in (*written, *(f"reading: {fault}" for fault in read))]
    return faults


def _headers(driver: Driver, ground: Ground) -> list[str]:
    reference.create(ground, ground.name)
    return _there_and_back(driver, ground, ground.name, odd_records(ground.records))


def odd_records(count: int) -> list[Record]:
    """Records with headers of every kind; the first has no key, the second no value, the third an empty one."""
    sent = []
    for number, plain in enumerate(records(count)):
        text = b"%d" % number
        headers = (("twice", text), ("twice", b"\x00\xff\xfe"), ("empty", b""), ("n\u00e4me", text * (number % 40)))
        sent.append(Record(key=plain.key, value=plain.value, headers=headers[: number % 5]))
    sent[0] = Record(key=None, value=sent[0].value, headers=(("no key", b"1"),))
    sent[1] = Record(key=b"tombstone", value=None, headers=())
    sent[2] = Record(key=b"", value=b"", headers=(("empty", b""),))
    return sent


def large_records() -> list[Record]:
    """A few of 5 MB each."""
    return [
        Record(key=b"%d" % number, value=b"%08d" % number * (LARGE_BYTES // 8), headers=())
        for number in range(_LARGE_COUNT)
    ]


def create_large(ground: Ground) -> None:
    """A topic that takes them."""
    reference.create(ground, ground.name, PARTITIONS, {"max.message.bytes": str(LARGE_LIMIT)})


def _large(driver: Driver, ground: Ground) -> list[str]:
    create_large(ground)
    return _there_and_back(driver, ground, ground.name, large_records(), large=True)
