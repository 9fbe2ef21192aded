"""TLS between brokers (`security.inter.broker.protocol=SSL`): both ends of the inter-broker listener.

The listener shows the broker's certificate, and who connects checks it against ssl.truststore.location and the address
that was asked for. Who connects shows none: both sides prove the cluster's secret inside (peers/frames.py), and since
nobody can stand in the middle, that proof is of the very connection. Files that change hold for later connections.
"""

from __future__ import annotations

import asyncio
import logging
import ssl

from broker.clock import Clock
from broker.errors import InvalidConfig
from broker.security.tls import Tls, TlsSettings

log = logging.getLogger(__name__)

_LOOK_S = 5.0


class PeerTls:
    """The contexts of both ends, kept fresh."""

    def __init__(self, settings: TlsSettings, *, checks_names: bool) -> None:
        """InvalidConfig where a file is missing or does not fit."""
        if settings.truststore is None:
            raise InvalidConfig("security.inter.broker.protocol=SSL: say who signs brokers, ssl.truststore.location")
        self._truststore, self._checks_names = settings.truststore, checks_names
        self._tls = Tls(settings, asks_clients=False)
        self.answerer = self._tls.context
        """Of the listener; each handshake takes the newest certificate."""
        self.answerer.sni_callback = self._take_newest
        self.asker = self._make_asker()

    async def run(self, clock: Clock) -> None:
        """Looks at the files for ever."""
        while True:
            await clock.sleep(_LOOK_S)
            try:
                await asyncio.to_thread(self.renew)
            except InvalidConfig as error:
                log.warning("the inter-broker listener keeps its old certificate: %s", error)

    def renew(self) -> None:
        """Takes up files that changed. Reads them: call it in a thread. InvalidConfig when they do not fit."""
        if self._tls.changed():
            self.asker = self._make_asker()

    def _take_newest(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._tls.context

    def _make_asker(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self._checks_names
        try:
            context.load_verify_locations(self._truststore)
        except (OSError, ValueError) as error:
            raise InvalidConfig(f"ssl.truststore.location {self._truststore}: {type(error).__name__}") from None
        return context
