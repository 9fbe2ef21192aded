"""Whether a broker's host may join: a plain `file://` WAL is durable on its own host only."""

from __future__ import annotations

from broker.errors import InvalidRequest
from broker.metadata.database import Tx
from broker.metadata.rows import Registration
from broker.wal.places import verifies


def refuse_second_host(tx: Tx, me: Registration) -> None:
    """InvalidRequest when this broker and a live one of another host both keep what they acknowledged on their own host
    only, unless that was allowed: when a host is lost, so is what it had not uploaded.
    """
    if me.allow_host_durability or not _host_only(me.wal_url):
        return
    rows = tx.all("SELECT id, host_id, wal_url FROM brokers WHERE alive = 1 AND id <> ? ORDER BY id", me.id)
    others = [broker for broker, host, url in rows if host != me.host_id and _host_only(url)]
    if others:
        raise InvalidRequest(
            f"WAL {me.wal_url} is durable on this host only, and broker {others[0]} runs on another host:"
            " give --wal objects:// or file:///shared/dir?fence=verify,"
            " or --allow-host-durability to lose what a lost host had not uploaded"
        )


def _host_only(wal_url: str) -> bool:
    return wal_url.startswith("file://") and not verifies(wal_url)
