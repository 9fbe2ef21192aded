"""Where a bill comes from: one small protocol, and an adapter for each source behind it."""

from __future__ import annotations

from typing import Protocol

import duckdb


class BillSource(Protocol):
    """One source of billing rows. Its methods are called by one thread at a time; each may raise BillError."""

    @property
    def name(self) -> str:
        """For people: a path, a URL, a service."""

    @property
    def late_s(self) -> float:
        """How long after a day's end its last rows may still come: until then the day is open."""

    @property
    def remote(self) -> bool:
        """Whether reading it asks somebody else, who may be slow or away."""

    def look(self) -> str:
        """Fetches what is new and names the state it found; the same name means the same rows."""

    def selects(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """SQL for all rows of that state under `columns.NAMES`, in parts."""

    def notes(self) -> list[str]:
        """What a reader of the numbers must know."""
