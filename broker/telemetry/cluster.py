"""The series of partitions this broker owns, and of the cluster as it sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.metadata.image import NOBODY, Image
from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page, escape
from broker.turns import EVERY, Turns


class LogFigures(Protocol):
    """What is shown of a partition's log; `broker.log.Log` is one, a test's tuple another."""

    @property
    def topic(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def log_start(self) -> int: ...
    @property
    def log_end(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


class Partitions:
    """Writes bytes, offsets and sizes by partition; keeps what stands before the numbers, which never changes."""

    def __init__(self, counters: Counters, turns: Turns) -> None:
        self._counters, self._turns = counters, turns
        self._heads: dict[tuple[str, int], tuple[str, str, str, str, str]] = {}

    async def write(self, page: Page, owned: Sequence[LogFigures]) -> None:
        """One pass, one formatted string per series (law 15), in turns (law 14)."""
        if len(self._heads) > 2 * len(owned) + 1000:
            self._heads.clear()
        io: list[str] = []
        starts: list[str] = []
        ends: list[str] = []
        sizes: list[str] = []
        moved = self._counters.partition_bytes
        for number, log in enumerate(owned, 1):
            key = (log.topic, log.index)
            head = self._heads.get(key)
            if head is None:
                head = self._heads[key] = _heads(*key)
            bytes_in, bytes_out = moved.get(key, (0, 0))
            io.append(f"{head[0]}{bytes_in}")
            io.append(f"{head[1]}{bytes_out}")
            starts.append(f"{head[2]}{log.log_start}")
            ends.append(f"{head[3]}{log.log_end}")
            sizes.append(f"{head[4]}{log.size_bytes}")
            if number % EVERY == 0:
                await self._turns.rest()
        for name, lines in zip(_BY_PARTITION, (io, starts, ends, sizes), strict=True):
            page.family(name)
            page.lines(lines)
        totals = {("in",): float(self._counters.bytes_in), ("out",): float(self._counters.bytes_out)}
        page.table("kafka_broker_network_io_bytes_total", totals)
        page.table("kafka_message_count_total", self._counters.topic_records)


_BY_PARTITION = ("kafka_network_io_bytes_total", "kafka_log_start_offset", "kafka_log_end_offset", "kafka_log_size")


def _heads(topic: str, index: int) -> tuple[str, str, str, str, str]:
    labels = f'topic="{escape(topic)}",partition="{index}"'
    io, start, end, size = _BY_PARTITION
    return (
        f'{io}{{{labels},direction="in"}} ',
        f'{io}{{{labels},direction="out"}} ',
        f"{start}{{{labels}}} ",
        f"{end}{{{labels}}} ",
        f"{size}{{{labels}}} ",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Who owns what in one image: counted once per image, since that is a look at every partition."""

    image: Image
    owned: Mapping[int, int]
    """Broker to its partitions, internal ones left out."""
    offline: int
    topics: int


def placement(image: Image) -> Placement:
    owned: Counter[int] = Counter()
    topics = 0
    for topic in image.topics.values():
        if not topic.internal:
            owned.update([p.owner for p in topic.partitions])
            topics += 1
    alive = {broker.id for broker in image.brokers.values() if broker.alive}
    offline = sum(count for owner, count in owned.items() if owner == NOBODY or owner not in alive)
    return Placement(image=image, owned=owned, offline=offline, topics=topics)


def write_cluster(page: Page, placed: Placement, broker_id: int) -> None:
    """Counts that say how the cluster is."""
    image = placed.image
    page.one("kafka_controller_active_count", float(image.controller == broker_id))
    page.one("kafka_broker_active_count", sum(broker.alive for broker in image.brokers.values()))
    known = {(str(b.id),): float(b.alive) for b in image.brokers.values() if b.alive or not b.departed}
    page.table("streampilot_registered_broker", known)
    page.one("kafka_partition_count", placed.owned.get(broker_id, 0))
    page.one("kafka_topic_count", placed.topics)
    page.one("kafka_offline_partition_count", placed.offline)
