"""What a move costs on Apache Kafka, where a new replica is a copy over the network: how much, how fast, how long.

Copies run one after the other and throttled, so that clients keep their share of the network. Elsewhere, and where the
new leader is a replica already, nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.model.amounts import size
from agent.plan.settings import PlanSettings
from agent.plan.state import ClusterState, PartitionState, Prices

GIB = 1 << 30
HEADROOM = 2.0
"""A copy must be allowed this many times what is written to the partition meanwhile, or it does not catch up."""
MINUTE_S, HOUR_S = 60.0, 3600.0


def copies(state: ClusterState, partition: PartitionState, replicas: Sequence[int]) -> list[int]:
    """The brokers that a partition's data is copied to when these become its replicas."""
    return [broker for broker in replicas if broker not in partition.replicas] if state.kind == "kafka" else []


def too_fast(state: ClusterState, partition: PartitionState, settings: PlanSettings) -> bool:
    """Whether more is written to the partition than a throttled copy of it could catch up with."""
    written = partition.bytes_in_per_s or 0.0
    return state.kind == "kafka" and written * HEADROOM > settings.throttle_bytes_per_s


def takes_s(partition: PartitionState, brokers: Sequence[int], settings: PlanSettings) -> float | None:
    """Seconds of its copy: what is there, and what is written meanwhile. None where the size is unknown.

    The leader sends to all new brokers within one rate.
    """
    if partition.size_bytes is None:
        return None
    left = settings.throttle_bytes_per_s - len(brokers) * (partition.bytes_in_per_s or 0.0)
    return partition.size_bytes * len(brokers) / max(left, settings.throttle_bytes_per_s / 4)


def effort(partition: PartitionState, brokers: Sequence[int], settings: PlanSettings) -> str:
    """One step's copy in words; empty where it copies nothing."""
    if not brokers:
        return ""
    where = " and ".join(f"broker {broker}" for broker in brokers)
    rate = f"at most {size(settings.throttle_bytes_per_s)}/s"
    seconds = takes_s(partition, brokers, settings)
    if seconds is None:
        return f"copies data of unknown size to {where}, {rate}"
    return f"copies {size((partition.size_bytes or 0.0) * len(brokers))} to {where}, {rate}: about {duration(seconds)}"


def in_all(moved: Sequence[tuple[PartitionState, Sequence[int]]], prices: Prices, settings: PlanSettings) -> str:
    """What all copies of a plan cost, in words; `moved`: each partition with the brokers that it is copied to."""
    copied = [(partition, brokers) for partition, brokers in moved if brokers]
    if not copied:
        return "The new leaders hold their data already: nothing is copied."
    text = f"On Apache Kafka {len(copied)} of the {len(moved)} moves copy data to a new broker"
    rate = f"one after the other, at most {size(settings.throttle_bytes_per_s)}/s at any broker"
    times = [takes_s(partition, brokers, settings) for partition, brokers in copied]
    if any(seconds is None for seconds in times):
        return f"{text}, {rate}; size unknown, and so is how long it takes."
    total = sum((partition.size_bytes or 0.0) * len(brokers) for partition, brokers in copied)
    text += f": {size(total)} in all, {rate}: about {duration(sum(seconds or 0.0 for seconds in times))}"
    if prices.cross_zone_usd_per_gib is not None:
        text += f", and at most ${total / GIB * prices.cross_zone_usd_per_gib:.2f} of cross-zone traffic"
    return f"{text}. The throttle is taken away at the end, however it ends."


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `5.2 h`."""
    if seconds < 2 * MINUTE_S:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.1f} h"
