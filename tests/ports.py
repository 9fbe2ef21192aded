"""Ports for servers that must come back on the same one, or are told theirs before they start.

They lie below those that the kernel gives to outgoing connections and to `:0`, so that nothing else on the machine is
given one between here and the server's start.
"""

from __future__ import annotations

import random
import socket

_LOWEST = 12_000
_EPHEMERAL = 32_768
"""Where the ports of outgoing connections begin on Linux (net.ipv4.ip_local_port_range)."""
_TRIES = 1_000


def free_port(in_a_row: int = 1) -> int:
    """The first of so many ports that are free now, one after the other."""
    for _ in range(_TRIES):
        first = random.randrange(_LOWEST, _EPHEMERAL - in_a_row)
        if all(_is_free(port) for port in range(first, first + in_a_row)):
            return first
    raise RuntimeError(f"no {in_a_row} free ports in a row found between {_LOWEST} and {_EPHEMERAL}")


def free_ports(count: int) -> list[int]:
    """So many ports that are free now, none of them twice."""
    ports: dict[int, None] = {}
    while len(ports) < count:
        ports[free_port()] = None
    return list(ports)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
