"""Draws a scenario from a seed: names, the hot broker, magnitudes, and which of the five problems are planted.

Laws:
1. The same seed and plants give the same scenario, on any machine.
2. A problem that is planted is clearly past its rule's threshold, and everything else is clearly inside every rule's.
   `faults` states both as arithmetic, and a draw that breaks either is drawn again.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

from agent.demo.names import ENTITIES, PURPOSES, TOPICS
from agent.demo.scenario import PLANTS, Codec, Node, Plant, Scenario, SideReader, Stream, Traffic, Truth
from agent.model.resource import resource_id

DRAWS = 500
KEYS_PER_PARTITION = 24

HOT_BROKER_SHARE = (0.63, 0.68)
"""Of three brokers' bytes: 1.89 to 2.04 of the mean, where the rule asks for 1.25."""
HOT_KEY_SHARE = (0.66, 0.76)
"""Of the topic's bytes, where the rule asks for half of it in one partition."""
EVEN = 0.03
"""How far a broker is from an even share where no broker is hot."""

KEYED_BYTES = (1.25e6, 1.45e6)
BULK_BYTES = (1.85e6, 2.2e6)
"""The producer that forgets compression: the rule asks for 1 MiB/s."""
SHARED_BYTES = (1.9e6, 2.2e6)
"""Read from another zone: a dollar a day is 0.58 MB/s at $0.02 per GB."""
PLAIN_BYTES = (0.8e6, 1.2e6)

CROSS_FLOOR = 1.15e6
SMALLEST_STREAM = 30e3


def drawn_plants(seed: int) -> tuple[Plant, ...]:
    """Which problems a seed plants when nobody says: all of them for seed 1, else a subset that may be empty."""
    if seed == 1:
        return PLANTS
    rng = random.Random(f"plants of {seed}")
    chosen = rng.sample(PLANTS, rng.randint(0, len(PLANTS)))
    return tuple(plant for plant in PLANTS if plant in chosen)


def draw(*, seed: int, plants: tuple[Plant, ...], nodes: tuple[Node, ...], cluster: str) -> Scenario:
    """The scenario of a seed, sound by `faults`; ValueError if no draw is (fewer than three brokers)."""
    rng = random.Random(seed)
    for _ in range(DRAWS):
        scenario = _candidate(rng, seed, plants, nodes, cluster)
        if scenario is not None and not faults(scenario):
            return scenario
    raise ValueError(f"seed {seed}: no sound scenario for {len(nodes)} brokers in {DRAWS} draws; use three brokers")


def faults(scenario: Scenario) -> list[str]:
    """What would make the truth unclear; empty when planted and not planted are both far from every threshold."""
    found = []
    load = scenario.broker_load()
    mean = sum(load.values()) / len(load)
    skew = scenario.busiest_over_mean
    if "hot-broker" in scenario.plants:
        if skew < 1.86:
            found.append(f"the hot broker carries only {skew:.2f} of the mean")
        if _after_moves(scenario) > 1.12:
            found.append("moves do not balance the hot broker")
    elif skew > 1.08:
        found.append(f"a broker that should be even carries {skew:.2f} of the mean")
    for traffic in scenario.traffic:
        for stream in traffic.streams:
            pinned = (traffic.topic, stream.partition) in scenario.pinned
            share = stream.bytes_per_s / traffic.bytes_per_s
            if stream.bytes_per_s < SMALLEST_STREAM:
                found.append(f"{traffic.topic}-{stream.partition} carries almost nothing")
            if not pinned and (share > 0.38 or stream.bytes_per_s > 0.3 * mean):
                found.append(f"{traffic.topic}-{stream.partition} looks like a hot key")
            if pinned and (share < 0.64 or stream.bytes_per_s > 0.6 * mean):
                found.append(f"{traffic.topic}-{stream.partition} is no clear hot key")
    return found


def _after_moves(scenario: Scenario, most: int = 8) -> float:
    """Busiest over mean after up to `most` moves, each the best one from the busiest to the idlest broker."""
    load = scenario.broker_load()
    mean = sum(load.values()) / len(load)
    streams = [
        (stream.bytes_per_s, stream.owner)
        for traffic in scenario.traffic
        for stream in traffic.streams
        if (traffic.topic, stream.partition) not in scenario.pinned
    ]
    for _ in range(most):
        busiest, idlest = max(load, key=load.__getitem__), min(load, key=load.__getitem__)
        gap = min(load[busiest] - mean, mean - load[idlest])
        movable = [item for item in streams if item[1] == busiest and item[0] < 2 * gap]
        if not movable:
            break
        moved = min(movable, key=lambda item: abs(item[0] - gap))
        streams[streams.index(moved)] = (moved[0], idlest)
        load[busiest] -= moved[0]
        load[idlest] += moved[0]
    return max(load.values()) / mean


def _candidate(
    rng: random.Random, seed: int, plants: tuple[Plant, ...], nodes: tuple[Node, ...], cluster: str
) -> Scenario | None:
    topics = rng.sample(TOPICS, 5)
    purposes = rng.sample(PURPOSES, 6)
    hot = rng.choice(nodes)
    sizes = [
        _keyed(rng, "hot-key" in plants),
        _varied(rng, rng.randint(5, 6), rng.uniform(*BULK_BYTES)),
        _varied(rng, rng.randint(5, 6), rng.uniform(*SHARED_BYTES)),
        _varied(rng, 6, rng.uniform(*PLAIN_BYTES)),
        _varied(rng, 6, rng.uniform(*PLAIN_BYTES)),
    ]
    shares = _shares(rng, nodes, hot if "hot-broker" in plants else None)
    placed = _place(rng, sizes, shares)
    if placed is None:
        return None
    sizes, owners = placed
    entity = rng.choice(ENTITIES)
    traffic = [
        Traffic(
            topic=topic,
            streams=tuple(
                Stream(partition=p, owner=owners[n][p], bytes_per_s=size, keys=_keys(entity, p, len(sizes[n])))
                for p, size in enumerate(sizes[n])
            ),
            producer=f"{topic}-service",
            codec=rng.choice(("lz4", "zstd")),
            group=purposes[n],
            consumer=f"{purposes[n]}-1",
        )
        for n, topic in enumerate(topics)
    ]
    side = SideReader(
        group=purposes[5], consumer=f"{purposes[5]}-1", topic=topics[3], stops="stopped-consumer" in plants
    )
    return _planted(rng, seed, plants, nodes, cluster, traffic, side, hot)


def _planted(
    rng: random.Random,
    seed: int,
    plants: tuple[Plant, ...],
    nodes: tuple[Node, ...],
    cluster: str,
    traffic: list[Traffic],
    side: SideReader,
    hot: Node,
) -> Scenario | None:
    """The scenario with its truths written down; None where no zone is far enough from the shared topic."""
    keyed, bulk, shared = traffic[:3]
    truths = []
    pinned: frozenset[tuple[str, int]] = frozenset()

    def truth(plant: Plant, rule: str, detail: str, kind: str, *names: str | int) -> None:
        truths.append(Truth(plant=plant, rule=rule, resource=resource_id(cluster, kind, *names), detail=detail))

    if "hot-broker" in plants:
        truth("hot-broker", "BAL-01", f"broker {hot.id} leads too much", "broker", hot.id)
    if "hot-key" in plants:
        traffic[0], partition = _heated(keyed)
        pinned = frozenset({(keyed.topic, partition)})
        key = traffic[0].streams[partition].hot_key
        truth("hot-key", "BAL-03", f"key {key} dominates {keyed.topic}", "topic", keyed.topic, partition)
    if "cross-zone" in plants:
        zones = [node for node in nodes if shared.owned_elsewhere(frozenset({node.id})) >= CROSS_FLOOR]
        if not zones:
            return None
        zone = rng.choice(zones).zone
        traffic[2] = replace(shared, consumer=f"{shared.consumer},zone={zone}")
        detail = f"{shared.group} reads {shared.topic} from {zone}, led elsewhere"
        truth("cross-zone", "NET-01", detail, "client", traffic[2].consumer)
    if "no-compression" in plants:
        none: Codec = "none"
        traffic[1] = replace(bulk, codec=none)
        truth("no-compression", "CLI-02", f"{bulk.producer} sends {bulk.topic} as it is", "client", bulk.producer)
    if side.stops:
        truth("stopped-consumer", "LAG-02", f"{side.group} stops reading {side.topic}", "group", side.group)
    return Scenario(
        seed=seed,
        plants=plants,
        cluster=cluster,
        nodes=nodes,
        traffic=tuple(traffic),
        side_reader=side,
        truths=tuple(truths),
        pinned=pinned,
    )


def _heated(keyed: Traffic) -> tuple[Traffic, int]:
    """The keyed topic with its largest partition given over to its first key, and which one that is."""
    top = max(keyed.streams, key=lambda stream: stream.bytes_per_s)
    heated = replace(top, hot_key=top.keys[0], hot_share=0.95)
    return replace(keyed, streams=tuple(heated if stream is top else stream for stream in keyed.streams)), top.partition


def _varied(rng: random.Random, partitions: int, total: float) -> list[float]:
    """`total` over the partitions, none twice another."""
    weights = [rng.uniform(0.75, 1.3) for _ in range(partitions)]
    return [total * weight / sum(weights) for weight in weights]


def _keyed(rng: random.Random, hot: bool) -> list[float]:
    total, partitions = rng.uniform(*KEYED_BYTES), rng.randint(4, 6)
    if not hot:
        return _varied(rng, partitions, total)
    top = total * rng.uniform(*HOT_KEY_SHARE)
    sizes = _varied(rng, partitions - 1, total - top)
    sizes.insert(rng.randrange(partitions), top)
    return sizes


def _shares(rng: random.Random, nodes: tuple[Node, ...], hot: Node | None) -> dict[int, float]:
    """Broker id to the share of all bytes that it shall carry."""
    if hot is None:
        weights = {node.id: 1 + rng.uniform(-EVEN, EVEN) for node in nodes}
        return {node: weight / sum(weights.values()) for node, weight in weights.items()}
    top = rng.uniform(*HOT_BROKER_SHARE)
    weights = {node.id: rng.uniform(0.9, 1.1) for node in nodes if node is not hot}
    rest = {node: (1 - top) * weight / sum(weights.values()) for node, weight in weights.items()}
    return {hot.id: top, **rest}


def _place(
    rng: random.Random, sizes: list[list[float]], shares: dict[int, float]
) -> tuple[list[list[float]], list[dict[int, int]]] | None:
    """Sizes and owners that give each broker its share.

    Largest first to whoever lacks most; then the two plain topics (the last two) are scaled, broker by broker, to
    make the shares exact. None where that would take more than a stretch, or a broker got none of the plain ones.
    """
    total = sum(map(sum, sizes))
    lacking = {node: share * total for node, share in shares.items()}
    owners: list[dict[int, int]] = [{} for _ in sizes]
    order = [(size, n, p) for n, topic in enumerate(sizes) for p, size in enumerate(topic)]
    rng.shuffle(order)
    order.sort(key=lambda item: -round(item[0] / 1e5))
    for size, n, p in order:
        owner = max(lacking, key=lacking.__getitem__)
        roomy = [node for node, lack in lacking.items() if lack > size]
        if size > 0.5e6 and roomy:
            owner = rng.choice(roomy)
        owners[n][p] = owner
        lacking[owner] -= size
    plain = dict.fromkeys(shares, 0.0)
    for n in (3, 4):
        for p, size in enumerate(sizes[n]):
            plain[owners[n][p]] += size
    if not all(size and 0.6 < (size + lacking[node]) / size < 1.6 for node, size in plain.items()):
        return None
    stretch = {node: (size + lacking[node]) / size for node, size in plain.items()}
    fitted = [
        [size * stretch[owners[n][p]] for p, size in enumerate(topic)] if n >= 3 else topic
        for n, topic in enumerate(sizes)
    ]
    return fitted, owners


def _keys(entity: str, partition: int, partitions: int) -> tuple[str, ...]:
    """Keys that librdkafka's own partitioner (CRC-32 of the key) sends to this partition."""
    keys: list[str] = []
    number = 1000
    while len(keys) < KEYS_PER_PARTITION:
        key = f"{entity}-{number}"
        if zlib.crc32(key.encode()) % partitions == partition:
            keys.append(key)
        number += 1
    return tuple(keys)
