"""Clusters and risks to plan for, written as short as they can be."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.model.finding import Evidence, Finding, Risk
from agent.plan.state import BrokerState, ClusterState, PartitionState

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MIB = 1 << 20


def risk(rule: str, resource: str, *, action: str = "MovePartitions", **params) -> Risk:
    row = {"resource": resource, "observed": 3.0, "limit": 1.25, **params}
    finding = Finding(
        id=f"f-{rule}",
        rule=rule,
        resource=resource,
        at=NOW,
        observed=3.0,
        limit=1.25,
        unit="x mean",
        score=2.4,
        confidence=1.0,
        usd_per_month=12.5 if rule == "TOP-01" else None,
        money_basis="no price",
        params=params,
        evidence=(Evidence(view="broker_load", query_hash="abc", as_of=NOW, rows=(row,)),),
    )
    return Risk(
        id=f"{rule}@{resource}",
        rule=rule,
        title=f"title of {rule}",
        resource=resource,
        level="P1",
        state="open",
        first_seen=NOW,
        last_seen=NOW,
        count=4,
        caused_by=None,
        action=action,
        snapshot=finding,
        latest=finding,
        explanation="",
    )


def cluster(
    loads: dict[int, list[float]],
    *,
    kind: str = "bundled",
    pinned: tuple[int, ...] = (),
    down: tuple[int, ...] = (),
    cordoned: tuple[int, ...] = (),
    configs=None,
) -> ClusterState:
    """Broker to the MiB/s of each partition it leads; partitions of topic `orders` numbered in that order."""
    brokers = tuple(
        BrokerState(id=id, zone=f"z{id}", up=id not in down, cordoned=id in cordoned, bytes_in_per_s=None)
        for id in loads
    )
    partitions, ids = [], sorted(loads)
    for owner, own in loads.items():
        for load in own:
            others = [id for id in ids if id != owner][:2]
            partitions.append(
                PartitionState(
                    topic="orders",
                    partition=len(partitions),
                    leader=-1 if owner in down else owner,
                    replicas=(owner, *others),
                    bytes_in_per_s=load * MIB,
                    bytes_out_per_s=0.0,
                    size_bytes=float(1 << 30),
                    internal=False,
                )
            )
    return ClusterState(
        cluster="c",
        kind=kind,
        brokers=brokers,
        partitions=tuple(partitions),
        pinned=frozenset(("orders", number) for number in pinned),
        topic_configs=configs or {},
    )
