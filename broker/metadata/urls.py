"""Metadata URLs: which store one names, and how it is shown without its password.

sqlite:///path/metadata.db                       one host
postgresql://user@host:5432/database?sslmode=..  any number of hosts; libpq's own form, several hosts included
"""

from __future__ import annotations

import re
from pathlib import Path

from broker.clock import Clock
from broker.metadata.database import Database, MetadataUnavailable

KINDS = ("sqlite", "postgresql")

_PASSWORD_OPTION = re.compile(r"(?<=[?&]password=)[^&]*")


def open_database(url: str, clock: Clock) -> Database:
    """The store a URL names, not started yet. PostgreSQL's driver is loaded only when it is asked for."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest:
        from broker.metadata.sqlite import SqliteDatabase

        return SqliteDatabase(Path(rest))
    if scheme == "postgresql" and rest:
        try:
            from broker.metadata.postgres import PostgresDatabase
        except ImportError as error:
            text = "PostgreSQL needs its driver: pip install 'streampilot[postgres]'"
            raise MetadataUnavailable(text) from error
        return PostgresDatabase(url, clock)
    raise ValueError(
        f"metadata URL {shown(url)}: give sqlite:///path/to/metadata.db or postgresql://user@host/database"
    )


def shown(url: str) -> str:
    """The URL as it may be printed: `***` for a password."""
    scheme, separator, rest = url.partition("://")
    login, at, behind = rest.rpartition("@")
    if at and ":" in login:
        user, _, password = login.partition(":")
        rest = f"{user}:{'***' if password else ''}@{behind}"
    return _PASSWORD_OPTION.sub("***", f"{scheme}{separator}{rest}")
