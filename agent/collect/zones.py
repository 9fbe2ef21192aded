"""Zones by address, configured as `zones = {cidr = zone}`: for brokers without a rack and clients without a word.

The longest prefix wins. A name that is no address has no zone here: nothing is looked up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Zones:
    """ValueError for what is no network."""

    def __init__(self, blocks: Mapping[str, str]) -> None:
        networks = [(ipaddress.ip_network(block), zone) for block, zone in blocks.items()]
        self._networks: list[tuple[Network, str]] = sorted(networks, key=lambda pair: -pair[0].prefixlen)

    def of(self, host: str | None) -> str | None:
        """The zone of an address; Kafka writes members' hosts with a `/` in front."""
        if not host or not self._networks:
            return None
        try:
            address = ipaddress.ip_address(host.lstrip("/").strip("[]"))
        except ValueError:
            return None
        return next((zone for network, zone in self._networks if address in network), None)

    def of_clients(self, members: Iterable[tuple[str | None, str | None]]) -> dict[str, str]:
        """Client id to zone, of (client id, host); one whose members are in several zones, or in none, is left out."""
        if not self._networks:
            return {}
        found: dict[str, set[str | None]] = {}
        for client, host in members:
            if client:
                found.setdefault(client, set()).add(self.of(host))
        return {client: zone for client, zones in found.items() if len(zones) == 1 and (zone := next(iter(zones)))}
