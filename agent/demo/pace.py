"""When to send how much: byte rates per partition, as credit that time earns and records spend. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from agent.demo.payload import Mark
from agent.demo.scenario import Stream, Traffic

MOST_CREDIT_S = 1.0
"""Credit beyond this is dropped, on every partition alike: after a stall the load resumes, it does not burst."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A record to send now."""

    topic: str
    partition: int
    key: str
    mark: Mark
    wire_bytes: int


class Pacer:
    """One producer's partitions, each at its rate."""

    def __init__(self, traffic: Traffic, rng: random.Random) -> None:
        self.traffic = traffic
        self._rng = rng
        self._credit = {stream.partition: 0.0 for stream in traffic.streams}
        self._next_size = {stream.partition: 0 for stream in traffic.streams}
        self._sent = {stream.partition: 0 for stream in traffic.streams}
        self._key_sent: dict[str, int] = {}

    @property
    def sent(self) -> dict[int, int]:
        """Partition to the number of records handed out, which is also the next sequence."""
        return dict(self._sent)

    def due(self, elapsed_s: float, size: Iterator[int]) -> Iterator[Due]:
        """The records that `elapsed_s` more seconds have earned; `size` draws each one's bytes on the wire."""
        for stream in self.traffic.streams:
            most = stream.bytes_per_s * MOST_CREDIT_S
            credit = min(self._credit[stream.partition] + stream.bytes_per_s * elapsed_s, most + 8192)
            wanted = self._next_size[stream.partition] or next(size)
            while credit >= wanted:
                credit -= wanted
                yield self._record(stream, wanted)
                wanted = next(size)
            self._next_size[stream.partition] = wanted
            self._credit[stream.partition] = credit

    def _record(self, stream: Stream, wire_bytes: int) -> Due:
        hot = stream.hot_key is not None and self._rng.random() < stream.hot_share
        key = stream.hot_key if hot and stream.hot_key is not None else self._rng.choice(stream.keys)
        mark = Mark(sequence=self._sent[stream.partition], key_sequence=self._key_sent.get(key, 0))
        self._sent[stream.partition] += 1
        self._key_sent[key] = mark.key_sequence + 1
        return Due(topic=self.traffic.topic, partition=stream.partition, key=key, mark=mark, wire_bytes=wire_bytes)
