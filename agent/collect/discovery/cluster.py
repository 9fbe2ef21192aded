"""Targets from the cluster's own metadata: each broker's own HTTP address, or one port on every advertised host."""

from __future__ import annotations

from urllib.parse import urlsplit

from agent.collect.discovery.finder import CannotFind, Told, url_of
from agent.collect.scrape import Target

HTTP_CONFIG = "streampilot.http.address"
"""The read-only config by which a bundled broker says where its HTTP is."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
ANYWHERE = frozenset({"0.0.0.0", "::", ""})


class ClusterFinder:
    """With `port`: that port of every broker (a JMX exporter). Without: what bundled brokers say of themselves."""

    every_s = 0.0

    def __init__(self, *, port: int | None, path: str, scheme: str) -> None:
        self.name = f"cluster port {port}" if port else "cluster"
        self._port = port
        self._path = path
        self._scheme = scheme

    def find(self, told: Told) -> list[Target]:
        found, hidden = [], []
        for broker in told.brokers:
            if self._port is not None:
                found.append(
                    Target(url=url_of(self._scheme, broker.host, self._port, self._path), broker=str(broker.id))
                )
            elif (said := urlsplit(told.http.get(str(broker.id), ""))).port:
                host = broker.host if (said.hostname or "") in ANYWHERE else str(said.hostname)
                if host in LOOPBACK and broker.host not in LOOPBACK:
                    hidden.append(str(broker.id))
                    continue
                found.append(Target(url=url_of(said.scheme, host, said.port, self._path), broker=str(broker.id)))
        if hidden and not found:
            raise CannotFind(f"brokers {', '.join(hidden)} serve /metrics on their loopback only: give them --http")
        return found

    def close(self) -> None:
        return
