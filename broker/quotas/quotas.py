"""The quotas of the cluster at this broker: which one is a client's, what it used, and how long it has to wait.

1. The first that exists holds, as in Kafka: user and client id; user and any client id; user; any user and client id;
   any user and any client id; any user; client id; any client id. A quota of a user is shared by all its clients.
2. Bytes and time are used first and waited for afterwards: the answer says how long (throttle_time_ms), and the socket
   is not read in the meantime. Nothing is refused, but changes of topics where the client knows that (KIP-599).
3. Without any quota nothing is counted (`active`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from broker.clock import Clock
from broker.errors import ThrottlingQuotaExceeded
from broker.metadata.image import Entity
from broker.quotas.bucket import Bucket

PRODUCE, FETCH, REQUEST, MUTATION = (
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
)
CONNECTIONS = "connection_creation_rate"
OF_CLIENTS = (PRODUCE, FETCH, REQUEST, MUTATION)
_BURST_S = {MUTATION: 10.0}
"""Seconds' worth that may be used at once; else one."""
_MAX_BUCKETS = 10_000
Table = Mapping[Entity, Mapping[str, float]]


class Client(Protocol):
    """A connection, as far as quotas go."""

    principal: str
    client_id: str
    peer: str


class Quotas:
    def __init__(self, table: Callable[[], Table], clock: Clock, *, max_connections: int, max_per_address: int) -> None:
        self._table = table
        self._clock = clock
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._buckets: dict[tuple[str, str | None, str | None], Bucket] = {}
        self._connected: Counter[str] = Counter()
        self._total = 0

    @property
    def active(self) -> bool:
        """Whether there is any."""
        return bool(self._table())

    def limits(self, key: str) -> bool:
        """Whether anybody has a quota of that kind."""
        return any(key in values for values in self._table().values())

    def use(self, key: str, client: Client, amount: float) -> float:
        """Counts what a client used; the seconds it has to wait."""
        found = self._find(key, client)
        if found is None:
            return 0.0
        bucket, rate = found
        return bucket.use(amount, rate, _BURST_S.get(key, 1.0), self._clock.monotonic())

    def mutate(self, client: Client, partitions: int, *, strict: bool) -> None:
        """Counts partitions that are created or deleted. ThrottlingQuotaExceeded, and nothing is counted, for a client
        that knows that answer and has to wait.
        """
        found = self._find(MUTATION, client) if self.active else None
        if found is None:
            return
        bucket, rate = found
        now = self._clock.monotonic()
        if strict and bucket.owed_s(rate, _BURST_S[MUTATION], now) > 0:
            raise ThrottlingQuotaExceeded("The throttling quota has been exceeded: wait as long as the answer says")
        bucket.use(partitions, rate, _BURST_S[MUTATION], now)

    def came(self, address: str) -> float | None:
        """A connection from there; the seconds before it is read. None: there are too many, hang up."""
        self._total += 1
        self._connected[address] += 1
        if self._total > self._max_connections or self._connected[address] > self._max_per_address:
            return None
        if not self.active:
            return 0.0
        table = self._table()
        rate = table.get((("ip", address),), {}).get(CONNECTIONS, table.get((("ip", None),), {}).get(CONNECTIONS))
        if rate is None:
            return 0.0
        return self._bucket((CONNECTIONS, address, None), rate).use(1, rate, 1.0, self._clock.monotonic())

    def went(self, address: str) -> None:
        """It is over."""
        self._total -= 1
        self._connected[address] -= 1
        if self._connected[address] <= 0:
            del self._connected[address]

    def _find(self, key: str, client: Client) -> tuple[Bucket, float] | None:
        table = self._table()
        user, client_id = client.principal.partition(":")[2], client.client_id
        for entity in _entities(user, client_id):
            rate = table.get(entity, {}).get(key)
            if rate is not None:
                names = dict(entity)
                whose = (key, user if "user" in names else None, client_id if "client-id" in names else None)
                rate = rate / 100 if key == REQUEST else rate
                return self._bucket(whose, rate), rate
        return None

    def _bucket(self, whose: tuple[str, str | None, str | None], rate: float) -> Bucket:
        bucket = self._buckets.get(whose)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._make_room(rate)
            bucket = self._buckets[whose] = Bucket(self._clock.monotonic())
        return bucket

    def _make_room(self, rate: float) -> None:
        """Forgets who owes nothing, by about the rate of the one that comes; should all owe, the oldest half."""
        now = self._clock.monotonic()
        kept = {whose: bucket for whose, bucket in self._buckets.items() if not bucket.is_idle(rate, now)}
        self._buckets = dict(list(kept.items())[len(kept) // 2 :]) if len(kept) > _MAX_BUCKETS // 2 else kept


def _entities(user: str, client_id: str) -> tuple[Entity, ...]:
    """Whose quota may hold, the first first."""
    return (
        (("client-id", client_id), ("user", user)),
        (("client-id", None), ("user", user)),
        (("user", user),),
        (("client-id", client_id), ("user", None)),
        (("client-id", None), ("user", None)),
        (("user", None),),
        (("client-id", client_id),),
        (("client-id", None),),
    )
