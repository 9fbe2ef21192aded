"""Everything the API layer counts, in plain dicts. One instance per broker, on its event loop.

1. A client's zone is resolved once per (client id, address, learned zone) and cached; the cache is bounded.
2. At most 500 client ids have series of their own; later ones share `other`.
3. Zones and kinds of software are bounded too: a client may claim any.
4. Bytes of a client whose zone is unknown are in no cross-zone counter, not even as zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Protocol

from broker.clock import Clock
from broker.records.batch import Batch
from broker.telemetry.quantiles import Durations
from broker.telemetry.zones import Networks, client_zone

MAX_CLIENTS = 500
OTHER = "other"
_MAX_WORDS = 64
"""Zones, or kinds of software, that get names of their own."""
_MAX_CACHED = 5_000


class Client(Protocol):
    """What the counters need to know of a connection."""

    client_id: str
    peer: str
    software_name: str
    zone: str | None


class Counters:
    """The broker's counters; `broker.api.registry.Meter` is the part that handlers see."""

    def __init__(self, *, clock: Clock, zone: str | None, networks: Networks = ()) -> None:
        self._clock = clock
        self._zone = zone
        self._networks = networks
        self._zones: dict[tuple[str, str, str | None], tuple[str, str | None]] = {}
        self._clients: set[str] = set()
        self._software: set[str] = set()
        self._zone_names: set[str] = set()
        self.partition_bytes: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        """(topic, partition) -> [bytes in, bytes out]"""
        self.topic_records: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self.bytes_in = 0
        self.bytes_out = 0
        self.requests: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(API, version)"""
        self.errors: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(API, error)"""
        self.durations: dict[str, Durations] = {}
        self.connections: defaultdict[str, int] = defaultdict(int)
        self.client_bytes: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(client id, direction, zone or "", software)"""
        self.cross_zone_bytes: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(client id, direction)"""
        self.near_bytes = 0
        """To brokers of other zones, for the readers there."""
        self.client_requests: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(client id, direction)"""
        self.client_batches: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(client id, codec)"""
        self.client_batch_bytes: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(client id, codec)"""

        self.authentications: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(listener, mechanism)"""
        self.failed_authentications: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(listener, mechanism)"""
        self.denials: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(API,)"""
        self.failed_handshakes: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(listener,)"""
        self.hang_ups: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(listener, reason)"""
        self.client_throttles: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """(client id, quota): seconds"""

    def produced(self, connection: Client, topic: str, index: int, batches: Sequence[Batch]) -> None:
        """Batches of one partition were acknowledged."""
        for batch in batches:
            size_bytes, codec = batch.size_bytes, batch.codec
            self.partition_bytes[topic, index][0] += size_bytes
            self.bytes_in += size_bytes
            self.topic_records[(topic,)] += batch.count
            client = self._moved(connection, "produce", size_bytes)
            self.client_batches[client, codec] += 1
            self.client_batch_bytes[client, codec] += size_bytes

    def fetched(self, connection: Client, topic: str, index: int, size_bytes: int) -> None:
        """Record bytes of one partition were put into an answer."""
        self.partition_bytes[topic, index][1] += size_bytes
        self.bytes_out += size_bytes
        self._moved(connection, "fetch", size_bytes)

    def request(self, name: str, version: int, seconds: float, error: str | None) -> None:
        """A request was answered."""
        self.requests[name, str(version)] += 1
        if error is not None:
            self.errors[name, error] += 1
        now = self._clock.monotonic()
        durations = self.durations.get(name)
        if durations is None:
            durations = self.durations[name] = Durations(now)
        durations.observe(seconds, now)

    def sent_near(self, size_bytes: int) -> None:
        """Record bytes went to another zone's broker, once for all its readers."""
        self.near_bytes += size_bytes

    def client_request(self, connection: Client, direction: str) -> None:
        """A client sent a Produce (`produce`) or a Fetch (`fetch`)."""
        self.client_requests[self._of(connection)[0], direction] += 1

    def throttled(self, connection: Client, kind: str, seconds: float) -> None:
        """A client was told to wait because of a quota of that kind."""
        self.client_throttles[self._of(connection)[0], kind] += seconds

    def connection(self, listener: str, change: int) -> None:
        """A client came (1) or went (-1)."""
        self.connections[listener] += change

    def authenticated(self, listener: str, mechanism: str, succeeded: bool) -> None:
        """A client has said who it is, or failed to."""
        (self.authentications if succeeded else self.failed_authentications)[listener, mechanism] += 1

    def handshake_failed(self, listener: str) -> None:
        """A client and a listener that encrypts did not come to terms."""
        self.failed_handshakes[(listener,)] += 1

    def denied(self, name: str) -> None:
        """Something in the answer to that API was refused for want of a right."""
        self.denials[(name,)] += 1

    def hung_up(self, listener: str, reason: str) -> None:
        """A client was hung up on at the door."""
        self.hang_ups[listener, reason] += 1

    def forget_topics(self, alive: Collection[str]) -> None:
        """Series of deleted topics go, so that they do not pile up."""
        for key in [key for key in self.partition_bytes if key[0] not in alive]:
            del self.partition_bytes[key]
        for name in [name for name in self.topic_records if name[0] not in alive]:
            del self.topic_records[name]

    def whereabouts(self, connection: Client) -> tuple[str, str | None]:
        """The client's name for series, and its zone, where it is known."""
        return self._of(connection)

    def _moved(self, connection: Client, direction: str, size_bytes: int) -> str:
        client, zone = self._of(connection)
        software = _bounded(self._software, connection.software_name, _MAX_WORDS) or OTHER
        self.client_bytes[client, direction, zone or "", software] += size_bytes
        if zone is not None and self._zone is not None:
            self.cross_zone_bytes[client, direction] += size_bytes if zone != self._zone else 0
        return client

    def _of(self, connection: Client) -> tuple[str, str | None]:
        """The client's name for series, and its zone."""
        key = (connection.client_id, connection.peer, connection.zone)
        known = self._zones.get(key)
        if known is None:
            if len(self._zones) >= _MAX_CACHED:
                self._zones.clear()
            zone = client_zone(rack=key[2], client_id=key[0], peer=key[1], networks=self._networks)
            if zone is not None:
                zone = _bounded(self._zone_names, zone, _MAX_WORDS)
            name = _bounded(self._clients, connection.client_id, MAX_CLIENTS) or OTHER
            known = self._zones[key] = (name, zone)
        return known


def _bounded(known: set[str], word: str, most: int) -> str | None:
    """The word, while there are few; None for words past `most`: labels come from strangers."""
    if word not in known:
        if len(known) >= most:
            return None
        known.add(word)
    return word
