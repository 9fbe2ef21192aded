"""What of a broker can be read on the way to it: said once, at its start."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from broker.flags import Config


def readable(config: Config) -> Iterator[str]:
    """A line for each listener that other hosts can reach and that does not encrypt."""
    doors = config.doors
    for listener in config.listeners:
        if not (_is_loopback(listener.host) or doors.protocols[listener.name].encrypts):
            yield (
                f"listener {listener.name}://{listener.host}:{listener.port} is not on loopback and does not encrypt:"
                " who is on the way reads it; make it SSL or SASL_SSL (docs/security.md)"
            )
    host, port = config.peer_listener
    if not _is_loopback(host) and doors.peer_tls is None:
        yield (
            f"--inter-broker-listener {host}:{port} is not on loopback and does not encrypt: keep it to the brokers'"
            " network, or set security.inter.broker.protocol=SSL (docs/security.md)"
        )


def _is_loopback(host: str) -> bool:
    """Names other than localhost are not looked up: they are for others to reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
