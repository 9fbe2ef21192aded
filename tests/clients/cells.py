"""What a cell of the clients' matrix is: one client doing one thing to a cluster, and saying what was wrong.

A client is a module `with_NAME.py` that has

    NAME: str                        # as it is asked for and shown
    version() -> str                 # what is installed
    available() -> str               # empty, or why it cannot run here, with the command that installs it
    CELLS: Mapping[str, Cell]        # by column; each runs in a process of its own
    CANNOT: Mapping[str, str]        # a column without a cell: why the client cannot do it
    SETTINGS: Mapping[str, str]      # optional, by column: the documented client settings that its cell needs

Laws: a cell touches only names that begin with `ground.name`; everything it waits for ends within `ground.timeout_s`;
what it read is compared with all that was sent, in order; no workaround beyond documented settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COLUMNS: tuple[str, ...] = (
    "produce",
    "consume",
    "group",
    "idempotence",
    "transactions",
    "admin",
    "codecs",
    "headers",
    "large",
    "scram",
    "plain",
    "oauthbearer",
    "mtls",
    "kip848",
    "near",
)
MEANINGS = {
    "produce": "acks=all into six partitions; another client reads all of it back",
    "consume": "reads all that another client produced, without a group",
    "group": "a member reads and commits, a second one joins and shares, leaves, and nothing is read twice or missed",
    "idempotence": "the same as produce, with the idempotent producer",
    "transactions": "commit, abort; read_committed sees what was committed and nothing else; offsets go with it",
    "admin": "topics (create, configure, add partitions, delete records, delete) and groups (list, describe, delete)",
    "codecs": "none, gzip, snappy, lz4, zstd: what this client compressed, another reads, and the other way round",
    "headers": "several of one name, empty ones, bytes that are no text, null keys and null values",
    "large": "messages of 5 MB there and back",
    "scram": "SCRAM-SHA-512 over TLS",
    "plain": "PLAIN over TLS",
    "oauthbearer": "OAUTHBEARER over TLS, with a signed JWT",
    "mtls": "the client's certificate says who it is",
    "kip848": "the group column, in the consumer protocol of KIP-848",
    "near": "client.rack: what it reads comes from the broker of its zone",
}
FULL = ("produce", "consume", "group")
"""These have all the records that were asked for, the others a tenth."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where a cell runs. Every address is of the same three brokers."""

    bootstrap: str
    """PLAINTEXT."""
    secure: str
    """SASL_SSL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER."""
    mutual: str
    """SSL, where the client must have a certificate."""
    ca_file: Path
    """PEM: who signed the brokers' certificates."""
    certificate: Path
    """PEM: a client's key and certificate, for `mutual`."""
    user: str
    password: str
    token_file: Path
    """A JWT for OAUTHBEARER, good for a day."""
    token_url: str
    """The same from an OAuth token endpoint (client credentials; any id and secret)."""
    http: tuple[str, ...]
    """The brokers' HTTP addresses (host:port), for /metrics; broker `n` is in zone `zone-n`."""
    python: str
    """The interpreter that has the reference client: see `reference.py`."""
    name: str
    """What this cell's topics, groups and transactional ids begin with."""
    directory: Path
    """Scratch of this cell."""
    records: int
    timeout_s: float


Cell = Callable[[Ground], list[str]]
"""Faults in words, empty when all is right; what it throws is a fault too."""
