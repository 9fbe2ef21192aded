"""Planned moves, as transactions: each records where partitions shall go (`target`), and their owners hand them over.

Nothing here changes an owner: only a handover, which closes the range, and a failover do (law 3).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from broker.errors import (
    EligibleLeadersNotAvailable,
    InvalidReplicaAssignment,
    KafkaError,
    NoReassignmentInProgress,
    ResourceNotFound,
    UnknownTopicOrPartition,
)
from broker.metadata.database import Tx
from broker.metadata.picture import BROKERS, TOPIC

Where = tuple[str, int]
"""Topic name and partition index."""
Wishes = Mapping[Where, Sequence[int] | None]
"""Partition to the replicas it shall have, the owner first; None cancels a move."""


@dataclass(frozen=True, kw_only=True)
class _Placed:
    uid: int
    topic_id: bytes
    owner: int
    target: str | None


def aim(tx: Tx, wishes: Wishes) -> dict[Where, KafkaError]:
    """Records every wish that can be granted, in this one transaction; why not, for the others. Who leads already, or
    nobody, needs no handover.
    """
    known = {row[0] for row in tx.all("SELECT id FROM brokers")}
    placed = _placed(tx, {topic for topic, _ in wishes})
    refused: dict[Where, KafkaError] = {}
    rows: list[tuple[str | None, str | None, int]] = []
    for where, replicas in wishes.items():
        try:
            rows.append(_wish(where, replicas, placed, known))
        except KafkaError as error:
            refused[where] = error
    tx.many("UPDATE partitions SET target = ?, replicas = coalesce(?, replicas) WHERE uid = ?", rows)
    for topic_id in {placed[where].topic_id for where in wishes if where not in refused}:
        tx.changed(TOPIC, topic_id.hex())
    return refused


def _placed(tx: Tx, topics: Collection[str]) -> dict[Where, _Placed]:
    found = {}
    for topic in topics:
        rows = tx.all(
            "SELECT p.idx, p.uid, p.topic_id, p.owner, p.target FROM partitions p"
            " JOIN topics t ON t.id = p.topic_id WHERE t.name = ?",
            topic,
        )
        for index, uid, topic_id, owner, target in rows:
            found[topic, index] = _Placed(uid=uid, topic_id=bytes(topic_id), owner=owner, target=target)
    return found


def _wish(
    where: Where, replicas: Sequence[int] | None, placed: Mapping[Where, _Placed], known: set[int]
) -> tuple[str | None, str | None, int]:
    """(target, replicas or None to keep them, uid)"""
    name = f"{where[0]}-{where[1]}"
    partition = placed.get(where)
    if partition is None:
        raise UnknownTopicOrPartition(f"there is no partition {name}")
    if replicas is None:
        if partition.target is None:
            raise NoReassignmentInProgress(f"no reassignment of {name} is under way")
        return None, None, partition.uid
    if not replicas or len(set(replicas)) != len(replicas):
        raise InvalidReplicaAssignment(f"replicas {list(replicas)} of {name}: name each broker once, and at least one")
    if strangers := [broker for broker in replicas if broker not in known]:
        raise InvalidReplicaAssignment(f"{name}: no broker {strangers[0]} in this cluster; it has {sorted(known)}")
    wanted = json.dumps(list(replicas))
    return (None, wanted, partition.uid) if partition.owner == replicas[0] else (wanted, None, partition.uid)


def prefer(tx: Tx, uids: Collection[int]) -> None:
    """Sends partitions to their preferred owners: a move that changes no replicas."""
    rows = tx.among("SELECT uid, topic_id FROM partitions WHERE uid IN ({keys})", uids)
    tx.many("UPDATE partitions SET target = replicas WHERE uid = ?", [(uid,) for uid, _ in rows])
    for topic_id in {bytes(row[1]) for row in rows}:
        tx.changed(TOPIC, topic_id.hex())


def drain(tx: Tx, broker: int) -> int:
    """Cordons the broker and sends everything it owns to others; how many partitions that is.

    It leaves every replica list too, and where there is one, a broker of a zone that the list lacks takes its place.
    EligibleLeadersNotAvailable when no other live broker may take anything.
    """
    if tx.one("SELECT 1 FROM brokers WHERE id = ?", broker) is None:
        raise ResourceNotFound(f"there is no broker {broker}")
    zones = dict(
        tx.all("SELECT id, zone FROM brokers WHERE alive = 1 AND cordoned = 0 AND id <> ? ORDER BY id", broker)
    )
    tx.run("UPDATE brokers SET cordoned = 1 WHERE id = ?", broker)
    tx.changed(BROKERS)
    partitions = tx.all("SELECT uid, topic_id, owner, replicas FROM partitions ORDER BY topic_id, idx")
    concerned = [row for row in partitions if row[2] == broker or broker in json.loads(row[3])]
    leaving = [row for row in concerned if row[2] == broker]
    if leaving and not zones:
        raise EligibleLeadersNotAvailable(
            f"nobody may take the {len(leaving)} partitions of broker {broker}: start or uncordon another broker"
        )
    led = {each: sum(row[2] == each for row in partitions) for each in zones}
    _send_away(tx, broker, concerned, zones, led)
    return len(leaving)


def _send_away(
    tx: Tx,
    broker: int,
    concerned: Sequence[tuple[int, bytes, int, str]],
    zones: Mapping[int, str | None],
    led: dict[int, int],
) -> None:
    targets: list[tuple[str, int]] = []
    kept: list[tuple[str, int]] = []
    choosy_first = sorted(concerned, key=lambda row: not set(json.loads(row[3])) & set(zones))
    for uid, _, owner, text in choosy_first:
        replicas = json.loads(text)
        others = [each for each in replicas if each != broker]
        if owner == broker:
            to = min([each for each in others if each in zones] or zones, key=lambda each: (led[each], each))
            led[to] += 1
            others = [to, *(each for each in others if each != to)]
        kept_or_grown = _filled(others, len(replicas), zones, led)
        (targets if owner == broker else kept).append((json.dumps(kept_or_grown), uid))
    tx.many("UPDATE partitions SET target = ? WHERE uid = ?", targets)
    tx.many("UPDATE partitions SET replicas = ? WHERE uid = ?", kept)
    for topic_id in {bytes(row[1]) for row in concerned}:
        tx.changed(TOPIC, topic_id.hex())


def _filled(replicas: list[int], wanted: int, zones: Mapping[int, str | None], led: Mapping[int, int]) -> list[int]:
    """The list with up to `wanted` brokers: first of zones that it lacks, and of those who own least."""
    seen = {zones[each] for each in replicas if each in zones}
    spare = sorted((each for each in zones if each not in replicas), key=lambda each: (zones[each] in seen, led[each]))
    return [*replicas, *spare[: max(wanted - len(replicas), 0)]]
