"""The versioned features of a cluster, as ApiVersions tells them: their levels come with the release.

group.version 1         consumer groups of the new protocol (KIP-848)
share.version 1         share groups (KIP-932)
transaction.version 2   a producer's epoch grows with each transaction, and Produce adds partitions (KIP-890)

A level says what every broker of the cluster can do. Brokers of two releases on one store only ever differ by what is
additive, so no level has to be raised by hand, and none can be lowered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What this release can do, and what holds."""

    low: int
    high: int
    level: int


FEATURES: Mapping[str, Feature] = {
    "group.version": Feature(low=0, high=1, level=1),
    "share.version": Feature(low=0, high=1, level=1),
    "transaction.version": Feature(low=0, high=2, level=2),
}
"""By Kafka's names."""
