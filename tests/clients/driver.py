"""What a client with a producer and a consumer has to offer so that the usual cells can be made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tests.clients.cells import Ground
from tests.clients.records import Got, Record, records

DOORS = {"scram": "SCRAM-SHA-512", "plain": "PLAIN", "oauthbearer": "OAUTHBEARER", "mtls": "mTLS"}
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
HEARTBEAT_MS = 500
LARGE_LIMIT = 6 * 1024 * 1024
"""What topic and client are told to take when messages are large."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a consumer reads: from the beginning, as its library does unless it is told otherwise."""

    door: str = ""
    group: str = ""
    """Empty: it reads all partitions by itself."""
    protocol: str = "classic"
    committed_only: bool = False
    large: bool = False
    rack: str = ""


ALONE = Reading()


class Writer(Protocol):
    """A producer with acks=all."""

    def send(self, topic: str, sent: Iterable[Record]) -> None:
        """Returns when all are acknowledged; throws when one is not."""

    def close(self) -> None:
        """Ends it."""


class TransactionalWriter(Writer, Protocol):
    """A producer with a transactional id, initialised."""

    def begin(self) -> None:
        """Opens a transaction."""

    def commit(self) -> None:
        """Ends it, and all of it counts."""

    def abort(self) -> None:
        """Ends it, and none of it counts."""

    def send_offsets(self, reader: Reader) -> None:
        """Where the reader stands, as a part of the transaction."""


class Reader(Protocol):
    """A consumer, from the beginning of the topic; it commits when it is told to, and only then."""

    def poll(self, seconds: float) -> list[Got]:
        """What came within that time; may be nothing."""

    def assigned(self) -> set[int]:
        """Its partitions."""

    def commit(self) -> None:
        """What was read so far; returns when it is done."""

    def close(self) -> None:
        """Leaves the group."""


class Driver(Protocol):
    """A client. `door` is PLAINTEXT when empty, else one of DOORS' values."""

    def writer(
        self, ground: Ground, *, door: str = "", codec: str = "none", idempotent: bool = False, large: bool = False
    ) -> Writer:
        """A producer."""

    def transactional(self, ground: Ground, transactional_id: str) -> TransactionalWriter:
        """A producer of transactions."""

    def reader(self, ground: Ground, topic: str, how: Reading = ALONE) -> Reader:
        """A consumer. Its client id is the ground's name."""


def records_of(driver: object, count: int) -> list[Record]:
    """What is sent with that client: the usual records, unless it makes its own because it cannot send these."""
    made: list[Record] = getattr(driver, "records", records)(count)
    return made
