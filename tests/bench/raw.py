"""Load in raw frames: requests packed once and sent again and again, so that the client costs next to nothing.

Seconds are of the monotonic clock. Frames are of versions that all brokers under test speak: Produce
9, Fetch 11.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.wire.codec import shape
from broker.wire.encoder import encode
from tests.fuzz.batches import Header, batch, record
from tests.fuzz.bystander import create
from tests.fuzz.requests import header
from tests.fuzz.target import Target

Address = tuple[str, int]
_PRODUCE, _FETCH = (0, 9), (1, 11)
_FETCHED = struct.Struct(">ihqqq")
PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent: batches of so many bytes to so many partitions, `together` of them in each request."""

    name: str
    batch_bytes: int
    partitions: int
    together: int
    requests: int

    @property
    def total_bytes(self) -> int:
        return self.batch_bytes * self.together * self.requests


def frames(topic: str, load: Load, indexes: Sequence[int] = ()) -> list[bytearray]:
    """The requests that are sent in turn, lengths included; the correlation id is at byte 8. `indexes` of partitions,
    where they are not the first ones.
    """
    which = indexes or range(load.partitions)
    data = batch(Header(timestamp_ms=int(time.time() * 1000)), record(os.urandom(load.batch_bytes - 80)))
    found = []
    for first in range(0, load.partitions, load.together):
        parts = [{"index": index, "records": data} for index in which[first : first + load.together]]
        body = {"acks": -1, "timeout": 30_000, "topic_data": [{"name": topic, "partition_data": parts}]}
        request = header(*_PRODUCE, 1, flexible=True) + bytes(encode(shape(*_PRODUCE).request, body))
        found.append(bytearray(struct.pack(">i", len(request)) + request))
    return found


def connect(address: Address) -> socket.socket:
    one = socket.create_connection(address, timeout=PATIENCE_S)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def read_frame(one: socket.socket, into: bytearray) -> memoryview:
    """The next answer without its length: in `into` where it fits, else in memory of its own."""
    (size,) = struct.unpack(">i", _read(one, memoryview(into)[:4]))
    return _read(one, memoryview(into if size <= len(into) else bytearray(size))[:size])


def _read(one: socket.socket, view: memoryview) -> memoryview:
    got = 0
    while got < len(view):
        count = one.recv_into(view[got:])
        if not count:
            raise ConnectionResetError("the broker hung up")
        got += count
    return view


class Later(Exception):
    """The broker has no room now (NOT_ENOUGH_REPLICAS): the request is to be sent again."""


NO_ROOM = 19


def check_produced(answer: memoryview, topic: str, together: int) -> None:
    """Reads the error of the answer's first partition: one request's partitions have one fate here. `Later`, or
    RuntimeError when it is another than 0.
    """
    at = 4 + 1 + 1 + 1 + len(topic) + (1 if together + 1 < 128 else 2)
    index, error = struct.unpack_from(">ih", answer, at)
    if error == NO_ROOM:
        raise Later
    if error:
        raise RuntimeError(f"partition {index} of {topic}: error {error}")


def produce(
    address: Address, topic: str, load: Load, *, indexes: Sequence[int] = (), connections: int = 2, depth: int = 4
) -> float:
    """Seconds until every request is acknowledged; each connection has `depth` of them under way."""
    made = frames(topic, load, indexes)
    share = load.requests // connections

    def work(number: int) -> None:
        with connect(address) as one:
            into, due = bytearray(4096), deque(range(number * share, (number + 1) * share))
            under_way: deque[int] = deque()
            while due or under_way:
                while due and len(under_way) < depth:
                    under_way.append(due.popleft())
                    one.sendall(made[under_way[-1] % len(made)])
                answer, which = read_frame(one, into), under_way.popleft()
                try:
                    check_produced(answer, topic, load.together)
                except Later:
                    due.appendleft(which)
                    time.sleep(0.01)

    began = time.monotonic()
    _all([lambda number=number: work(number) for number in range(connections)])  # type: ignore[misc]
    return time.monotonic() - began


def _all(works: Sequence[Callable[[], None]]) -> None:
    """Runs them in threads; raises what the first of them raised."""
    faults: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def consume(address: Address, topic: str, load: Load) -> float:
    """Seconds until as many bytes were read, from the beginning of every partition, one after the other."""
    began = time.monotonic()
    with connect(address) as one:
        into = bytearray(4 << 20)
        for index in range(load.partitions):
            offset = got = 0
            each = sum(number % (load.partitions // load.together) == index // load.together
                       for number in range(load.requests // 2 * 2)) * load.batch_bytes  # fmt: skip
            while got < each * 0.98:
                size, offset = fetch(one, topic, index, offset, into)
                got += size
                if time.monotonic() - began > PATIENCE_S:
                    raise RuntimeError(f"{topic}-{index}: {got} of {each} bytes came in {PATIENCE_S:.0f} s")
    return time.monotonic() - began


def tail(address: Address, topic: str, load: Load) -> float:
    """Seconds until a reader at the end has everything that producers write meanwhile."""
    began = time.monotonic()
    _all([lambda: _discard(produce(address, topic, load)), lambda: _discard(consume(address, topic, load))])
    return time.monotonic() - began


def _discard(_: object) -> None:
    return


def fetch(one: socket.socket, topic: str, index: int, offset: int, into: bytearray) -> tuple[int, int]:
    """(record bytes, next offset) of one Fetch."""
    asked = {"partition": index, "fetch_offset": offset, "partition_max_bytes": 2 << 20, "current_leader_epoch": -1}
    body = {"replica_id": -1, "max_wait": 500, "min_bytes": 1, "max_bytes": 8 << 20, "session_epoch": -1,
            "topics": [{"topic": topic, "partitions": [asked]}]}  # fmt: skip
    request = header(*_FETCH, 1, flexible=False) + bytes(encode(shape(*_FETCH).request, body))
    one.sendall(struct.pack(">i", len(request)) + request)
    answer = read_frame(one, into)
    at = 4 + 4 + 2 + 4 + 4 + 2 + len(topic) + 4
    _, error, _, _, _ = _FETCHED.unpack_from(answer, at)
    if error:
        raise RuntimeError(f"{topic}-{index} at {offset}: error {error}")
    at += _FETCHED.size
    (aborted,) = struct.unpack_from(">i", answer, at)
    at += 4 + 16 * max(aborted, 0) + 4
    (size,) = struct.unpack_from(">i", answer, at)
    at += 4
    end = at + max(size, 0)
    while at + 61 <= end:
        base, length = struct.unpack_from(">qi", answer, at)
        if at + 12 + length > end:
            break
        offset = base + struct.unpack_from(">i", answer, at + 23)[0] + 1
        at += 12 + length
    return max(size, 0), offset


def latencies(address: Address, topic: str, load: Load, *, per_s: float) -> list[float]:
    """Seconds each request took at a fixed rate, from when it was due: waiting behind a slow one counts."""
    made, took = frames(topic, load), []
    with connect(address) as one:
        into = bytearray(4096)
        began = time.monotonic()
        for number in range(load.requests):
            due = began + number / per_s
            if (left := due - time.monotonic()) > 0:
                time.sleep(left)
            one.sendall(made[number % len(made)])
            check_produced(read_frame(one, into), topic, load.together)
            took.append(time.monotonic() - due)
    return took


def make_topic(address: Address, topic: str, partitions: int, configs: Sequence[tuple[str, str]] = ()) -> None:
    """A topic with a leader in every partition."""
    create(Target(address), topic, partitions, configs)
