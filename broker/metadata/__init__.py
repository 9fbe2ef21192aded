"""The cluster's truth, in SQL: see store.py for the facade and image.py for what readers see."""

from broker.metadata.image import (
    CONSUMER_OFFSETS,
    EMPTY,
    NOBODY,
    TRANSACTION_STATE,
    Acl,
    Broker,
    Image,
    Partition,
    Recovery,
    ScramCredential,
    Topic,
)
from broker.metadata.rows import Coordinator, GroupRow, OffsetRow, Registration
from broker.metadata.store import Metadata

__all__ = [
    "CONSUMER_OFFSETS",
    "EMPTY",
    "NOBODY",
    "TRANSACTION_STATE",
    "Acl",
    "Broker",
    "Coordinator",
    "GroupRow",
    "Image",
    "Metadata",
    "OffsetRow",
    "Partition",
    "Recovery",
    "Registration",
    "ScramCredential",
    "Topic",
]
