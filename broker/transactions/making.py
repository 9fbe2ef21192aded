"""The coordinator's parts, put together."""

from __future__ import annotations

from collections.abc import Callable

from broker.clock import Clock
from broker.log import Logs
from broker.metadata import Metadata
from broker.peers.client import Peers
from broker.transactions.coordinator import TransactionCoordinator
from broker.transactions.delivery import Delivery, Marking
from broker.transactions.finishing import Finishing
from broker.transactions.settings import TransactionSettings


def make_coordinator(
    *, metadata: Metadata, logs: Logs, peers: Peers, clock: Clock, broker_id: int, say: Callable[[str], None]
) -> TransactionCoordinator:
    """`peers` are for markers alone: those wait for WALs, and nothing else must wait for them."""
    settings = TransactionSettings()
    delivery = Delivery(metadata=metadata, marking=Marking(logs, clock), peers=peers, broker_id=broker_id)
    finishing = Finishing(
        metadata=metadata, clock=clock, broker_id=broker_id, settings=settings, delivery=delivery, say=say
    )
    return TransactionCoordinator(
        metadata=metadata, clock=clock, broker_id=broker_id, settings=settings, finishing=finishing
    )
