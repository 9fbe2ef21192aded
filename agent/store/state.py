"""`DIR/state.sqlite`: what must outlive the metrics, on disk before the call returns.

Laws:
1. A write is durable when `put`, `put_many`, `delete` or `append_audit` returns: WAL mode with `synchronous=FULL`
   syncs the log at each commit. An action is journaled here before it is taken.
2. The audit is append-only. Every entry carries the SHA-256 of the one before it and of itself, and the head is kept
   apart, so a changed byte, a missing entry and a cut tail are all found by `verify_audit`.
3. Migrations only add; a file that a newer version wrote is refused, never guessed at.
4. A damaged file is never replaced by an empty one: that would forget actions that are half done.

Documents are JSON under (kind, id): risks, plans, journal, mutes. One lock serialises the threads of one process; a
second process waits at most `BUSY_SECONDS`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.store.errors import StateError

BUSY_SECONDS = 5.0
GENESIS = "0" * 64
"""The hash before the first audit entry."""

MIGRATIONS = (
    """
    CREATE TABLE document(kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id))
        WITHOUT ROWID;
    CREATE TABLE audit(seq INTEGER PRIMARY KEY, body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
    CREATE TABLE audit_head(one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
    INSERT INTO audit_head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
    """,
)
"""Step n brings `user_version` from n to n + 1."""


class State:
    """The state file of one agent. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise StateError(
                f"cannot open {path}: {error}; if the file is damaged, move it away (do not delete it) and start again"
            ) from error

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StateError(
                f"{self.path} has version {version}, this streampilot knows {len(MIGRATIONS)}: upgrade streampilot"
            )
        for step in range(version, len(MIGRATIONS)):
            script = f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version={step + 1}; COMMIT;"
            self._connection.executescript(script)

    def put(self, kind: str, id: str, body: Any) -> None:
        """Stores JSON under (kind, id), replacing what was there; durable on return."""
        self.put_many(kind, {id: body})

    def put_many(self, kind: str, bodies: Mapping[str, Any]) -> None:
        """Stores several documents in one transaction, at the price of one sync."""
        rows = [(kind, id, _canonical(body)) for id, body in bodies.items()]
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", rows)

    def get(self, kind: str, id: str) -> Any | None:
        """The JSON under (kind, id), or None."""
        rows = self._read("SELECT body FROM document WHERE kind = ? AND id = ?", (kind, id))
        return json.loads(rows[0][0]) if rows else None

    def all(self, kind: str) -> dict[str, Any]:
        """Every document of a kind by its id, in the order of ids."""
        rows = self._read("SELECT id, body FROM document WHERE kind = ? ORDER BY id", (kind,))
        return {id: json.loads(body) for id, body in rows}

    def delete(self, kind: str, id: str) -> bool:
        """Forgets a document; says whether there was one."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, id)).rowcount > 0

    def append_audit(self, entry: Mapping[str, Any]) -> int:
        """Appends one entry to the chain and returns its number, from 1; durable on return."""
        body = _canonical(entry)
        with self._transaction() as connection:
            head, previous = connection.execute("SELECT seq, hash FROM audit_head").fetchone()
            seq = int(head) + 1
            digest = _digest(seq, body, previous)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?)", (seq, body, previous, digest))
            connection.execute("UPDATE audit_head SET seq = ?, hash = ?", (seq, digest))
        return seq

    def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest `limit` entries, newest first, each with its `seq` and `hash`."""
        rows = self._read("SELECT seq, body, hash FROM audit ORDER BY seq DESC LIMIT ?", (limit,))
        return [{**json.loads(body), "seq": seq, "hash": digest} for seq, body, digest in rows]

    def verify_audit(self) -> str | None:
        """None when the chain is whole, else the first problem in words."""
        try:
            with self._lock:
                (health,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
                rows = self._connection.execute("SELECT seq, body, previous, hash FROM audit ORDER BY seq").fetchall()
                head_seq, head_hash = self._connection.execute("SELECT seq, hash FROM audit_head").fetchone()
        except (sqlite3.Error, UnicodeDecodeError, TypeError) as error:
            return f"{self.path} cannot be read: {error}"
        if health != "ok":
            return f"{self.path} is damaged: {health}"
        previous = GENESIS
        for expected, (seq, body, linked, digest) in enumerate(rows, start=1):
            if seq != expected:
                return f"audit entry {expected} is missing"
            if linked != previous or digest != _digest(seq, body, previous):
                return f"audit entry {seq} was changed after it was written"
            previous = digest
        if (len(rows), previous) != (head_seq, head_hash):
            return f"the audit ends at entry {len(rows)}, its head says {head_seq}: entries were cut off"
        return None

    def close(self) -> None:
        """Closes the file; further calls raise StateError."""
        with self._lock:
            self._connection.close()

    def _read(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"cannot read {self.path}: {error}; check the disk, then restart the agent") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise StateError(
                    f"cannot write {self.path}: {error}; free disk space or end the other process that holds the file"
                ) from error
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        if self._connection_open() and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _connection_open(self) -> bool:
        try:
            return self._connection.in_transaction is not None
        except sqlite3.ProgrammingError:
            return False


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _digest(seq: int, body: str, previous: str) -> str:
    return hashlib.sha256(f"{seq}\n{previous}\n{body}".encode()).hexdigest()
