"""Whose metrics a target shows: what was configured, what the metrics say, else the one broker on the target's host.

The JMX exporter's series carry no broker id. A guess between two brokers would put one's load on the other's account,
so where no rule decides nothing is assigned, and the target's row in `source` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from agent.collect.snapshot import ADMIN
from agent.store.batch import Columns

SAME = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}
"""Names of this machine's own loopback."""


def broker_ids(
    targets: Iterable[str], nodes: Columns, said: Mapping[str, str], configured: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Target to broker, and for the targets that have none the reason. `nodes`: broker and advertised host."""
    by_host: dict[str, list[str]] = {}
    for broker, host in zip(nodes["broker"].tolist(), nodes["host"].tolist(), strict=True):
        by_host.setdefault(_host(host), []).append(broker)
    known, refused = {**said, **configured}, {}
    for target in targets:
        if target in known or target == ADMIN:
            continue
        host = urlsplit(target).hostname or ""
        there = by_host.get(_host(host), [])
        if len(there) == 1:
            known[target] = there[0]
        elif by_host and host:
            whom = f"brokers {', '.join(sorted(there))} advertise" if there else "no broker advertises"
            refused[target] = (
                f"not used: its metrics carry no broker id and {whom} the host {host}; "
                f'configure metrics = [{{ url = "{target}", broker = ID }}], or --metrics ID={target}'
            )
    return known, refused


def _host(name: str) -> str:
    return SAME.get(name.lower(), name.lower())
