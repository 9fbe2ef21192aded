"""Which zone a client is in. Unknown is None, and None is never "another zone".

In this order: the rack of its Fetch, then `zone=`, `automq_az=` or `ws_az=` in its client id, then CIDR blocks.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

_KEYS = ("zone", "automq_az", "ws_az")
_SEPARATORS = re.compile(r"[,;&]")
Networks = tuple[tuple[IPv4Network | IPv6Network, str], ...]
"""Address blocks and the zone of each, the narrowest first."""


def parse_zones(text: str) -> Networks:
    """`10.0.0.0/20=use1-az1,10.0.16.0/20=use1-az2`. Raises ValueError that shows how to write it."""
    blocks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        cidr, _, zone = part.partition("=")
        if not zone.strip():
            raise ValueError(f"{part!r} names no zone: write CIDR=ZONE, such as 10.0.0.0/20=use1-az1")
        blocks.append((ip_network(cidr.strip(), strict=False), zone.strip()))
    return tuple(sorted(blocks, key=lambda block: -block[0].prefixlen))


def zone_in_client_id(client_id: str) -> str | None:
    """The zone a client wrote into its id, such as `orders-3,zone=use1-az2`."""
    if "=" not in client_id:
        return None
    for part in _SEPARATORS.split(client_id):
        key, _, value = part.partition("=")
        if value.strip() and key.strip() in _KEYS:
            return value.strip()
    return None


def client_zone(*, rack: str | None, client_id: str, peer: str, networks: Networks) -> str | None:
    """The client's zone, or None when nothing tells."""
    if rack:
        return rack
    named = zone_in_client_id(client_id)
    if named is not None or not networks:
        return named
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    return next((zone for network, zone in networks if address in network), None)
