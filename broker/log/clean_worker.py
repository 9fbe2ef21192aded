"""The process that opens records: spawned by the broker, on its own core, with bounded memory and no lock (law 14).

It reads frames from stdin and answers on stdout: kind u8 | bytes u32 | payload.

    O  an order (JSON): forget everything before it          no answer
    S  batches of the dirty part                             s  b"1" while it wants more
    E  the dirty part is over                                e  {"up_to", "again"}: again from S, a bit shorter
    F  batches of the whole log, in order                    f  b"1" if anything changed, then what stays
    T  how it went                                           t  a Tally (JSON)

It ends when stdin does, so it never outlives its broker.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import BinaryIO

from broker.log.clean import Filter, Order, Scan
from broker.records.codecs import Decoder

FRAME = struct.Struct(">cI")
MEMORY_BYTES = 1024 * 1024 * 1024
"""Of address space. Over it the worker fails with MemoryError, and the broker says so."""


class Worker:
    """One order at a time."""

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._order: Order | None = None
        self._scan: Scan | None = None
        self._filter: Filter | None = None

    def answer(self, kind: bytes, payload: bytes) -> tuple[bytes, bytes] | None:
        """The frame to send back, if any."""
        handlers: dict[bytes, Callable[[bytes], tuple[bytes, bytes] | None]] = {
            b"O": self._begin,
            b"S": self._keys,
            b"E": self._scanned,
            b"F": self._clean,
            b"T": self._told,
        }
        return handlers[kind](payload)

    def _begin(self, payload: bytes) -> None:
        given = json.loads(payload)
        given["producers"] = {int(producer): end for producer, end in given["producers"].items()}
        self._order = Order(**given)
        if self._decoder is None or self._decoder.room_bytes != self._order.batch_room_bytes:
            self._decoder = Decoder(self._order.batch_room_bytes)
        self._scan, self._filter = Scan(self._order, self._decoder), None

    def _keys(self, payload: bytes) -> tuple[bytes, bytes]:
        assert self._scan is not None
        return b"s", b"1" if self._scan.add(payload) else b"0"

    def _scanned(self, _: bytes) -> tuple[bytes, bytes]:
        assert self._scan is not None
        again = self._scan.finish()
        return b"e", json.dumps({"up_to": self._scan.up_to, "again": again}).encode()

    def _clean(self, payload: bytes) -> tuple[bytes, bytes]:
        assert self._scan is not None and self._order is not None and self._decoder is not None
        if self._filter is None:
            self._filter = Filter(self._order, self._scan, self._decoder)
        out, changed = self._filter.take(payload)
        return b"f", (b"1" if changed else b"0") + out

    def _told(self, _: bytes) -> tuple[bytes, bytes]:
        return b"t", json.dumps(asdict(self._filter.tally) if self._filter else {}).encode()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Until stdin ends."""
    worker = Worker()
    while len(head := source.read(FRAME.size)) == FRAME.size:
        kind, size = FRAME.unpack(head)
        answer = worker.answer(kind, source.read(size))
        if answer is not None:
            sink.write(FRAME.pack(answer[0], len(answer[1])) + answer[1])
            sink.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    serve(sys.stdin.buffer, sys.stdout.buffer)
