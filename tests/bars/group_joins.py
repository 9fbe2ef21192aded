"""`python -m tests.bars.group_joins`: what it costs a coordinator that many members join one group, both protocols.

One broker; a member is a connection that joins, takes its share and beats. All come at once; classic members wait for
each other, as the protocol has it, and those of the new one (KIP-848) beat until every partition has its reader. Then
the broker is killed with kill -9 and started again, and every member must go on where it was: no rebalance. The last
line is the verdict; exit 0 when the broker's CPU per member at most doubles from the smaller group to the larger, and
nobody was lost.

    --members 300,1000  sizes of the groups, the smaller first
"""

from __future__ import annotations

import argparse
import asyncio
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from confluent_kafka.admin import AdminClient, NewTopic
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from tests.bars.cluster import Cluster, usage
from tests.bars.commits import Connection
from tests.broker.api.conftest import build

TOPIC = "t"
BAR = 2.0
"""How much more a member may cost in the larger group."""
_SETTLED_S = 120.0
_BEAT_S = 1.0
_SESSION = timedelta(seconds=45)


class Asker:
    """A connection that asks with kio's shapes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, key: int, version: int, /, **values: Any) -> Any:
        schema: Any = load_request_schema(key, version)
        body = io.BytesIO()
        entity_writer(schema)(body, build(schema, values))
        flexible = schema.__header_schema__.__version__ >= 2
        async with asyncio.timeout(_SETTLED_S):
            answer = await self._connection.ask(key, version, (b"\0" if flexible else b"") + body.getvalue())
        shape: Any = load_response_schema(key, version)
        return entity_reader(shape)(answer, 1 if shape.__header_schema__.__version__ >= 1 else 0)[0]


class Classic:
    """A member of the classic protocol."""

    def __init__(self, group: str, asker: Asker) -> None:
        self.group, self.asker = group, asker
        self.member, self.generation, self.share = "", -1, b""

    async def join(self) -> None:
        """Asks for an id, joins with it, and asks for its share; the leader gives everybody its own id."""
        while True:
            found = await self.asker.ask(
                11, 5, group_id=self.group, session_timeout=_SESSION, rebalance_timeout=_SESSION, member_id=self.member,
                group_instance_id=None, protocol_type="consumer", protocols=[{"name": "range", "metadata": b"m"}],
            )  # fmt: skip
            self.member = found.member_id
            if int(found.error_code) == 0:
                break
            await asyncio.sleep(0.2 if int(found.error_code) != _MEMBER_ID_REQUIRED else 0)
        self.generation = found.generation_id
        shares = [{"member_id": one.member_id, "assignment": one.member_id.encode()} for one in found.members]
        answer = await self.asker.ask(
            14, 3, group_id=self.group, generation_id=self.generation, member_id=self.member, group_instance_id=None,
            assignments=shares,
        )  # fmt: skip
        self.share = bytes(answer.assignment)

    async def beat(self) -> bool:
        """Whether it is still in the same generation."""
        found = await self.asker.ask(
            12, 3, group_id=self.group, generation_id=self.generation, member_id=self.member, group_instance_id=None
        )
        return int(found.error_code) == 0 and self.share == self.member.encode()


class Consumer:
    """A member of the new protocol."""

    def __init__(self, group: str, asker: Asker, number: int) -> None:
        self.group, self.asker = group, asker
        self.member, self.epoch = f"{number:036}", 0
        self.owned: frozenset[tuple[UUID, int]] = frozenset()

    async def join(self) -> None:
        while not await self.beat():  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def beat(self) -> bool:
        """Says what it has, and takes what it is given; whether it was understood."""
        joins = self.epoch == 0
        by_topic: dict[UUID, list[int]] = {}
        for topic, index in sorted(self.owned):
            by_topic.setdefault(topic, []).append(index)
        found = await self.asker.ask(
            68, 1, group_id=self.group, member_id=self.member, member_epoch=self.epoch, instance_id=None, rack_id=None,
            rebalance_timeout=_SESSION if joins else timedelta(milliseconds=-1),
            subscribed_topic_names=[TOPIC] if joins else None, subscribed_topic_regex=None, server_assignor=None,
            topic_partitions=[{"topic_id": topic, "partitions": some} for topic, some in by_topic.items()],
        )  # fmt: skip
        if int(found.error_code):
            return False
        self.epoch = found.member_epoch
        if found.assignment is not None:
            given = found.assignment.topic_partitions
            self.owned = frozenset((topic.topic_id, index) for topic in given for index in topic.partitions)
        return True


_MEMBER_ID_REQUIRED = 79
Members = list[Any]


async def connect(port: int, make: Callable[[Asker, int], Any], count: int) -> Members:
    """Members, a connection each."""
    loop = asyncio.get_running_loop()
    return [
        make(Asker((await loop.create_connection(Connection, "127.0.0.1", port))[1]), number) for number in range(count)
    ]


async def find_home(port: int, group: str) -> None:
    """Makes the group's home, as any consumer's first question does."""
    loop = asyncio.get_running_loop()
    asker = Asker((await loop.create_connection(Connection, "127.0.0.1", port))[1])
    while int((await asker.ask(10, 3, key=group, key_type=0)).error_code):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def settle(members: Members, partitions: int) -> None:
    """Members of the new protocol beat until every partition has a reader and all are at one epoch."""
    async with asyncio.timeout(_SETTLED_S):
        while True:
            await asyncio.gather(*(member.beat() for member in members))
            held = [place for member in members for place in member.owned]
            if len(held) == len(set(held)) == partitions and len({member.epoch for member in members}) == 1:
                return
            await asyncio.sleep(_BEAT_S)


async def measure(cluster: Cluster, kind: str, count: int) -> tuple[float, Members]:
    """The broker's CPU seconds until all had their share, and the members."""
    group, port = f"{kind}-{count}", cluster.ports[0]
    await find_home(port, group)
    members = await connect(port, lambda asker, number: _member(kind, group, asker, number), count)
    before, began = usage(cluster.pids[0]), time.monotonic()
    await asyncio.gather(*(member.join() for member in members))
    if kind == "consumer":
        await settle(members, count)
    joined, took = usage(cluster.pids[0]), time.monotonic() - began
    good = sum(await asyncio.gather(*(member.beat() for member in members)))
    beaten = usage(cluster.pids[0])
    cpu_s, beat_s = joined.cpu_s - before.cpu_s, beaten.cpu_s - joined.cpu_s
    print(
        f"{kind}: {count} members joined in {took:.1f} s, {cpu_s:.2f} CPU s of the broker,"
        f" {cpu_s / count * 1000:.2f} ms each; a beat of all {beat_s * 1000:.0f} ms; {good} of {count} in place",
        flush=True,
    )
    return cpu_s, members


def _member(kind: str, group: str, asker: Asker, number: int) -> Any:
    return Classic(group, asker) if kind == "classic" else Consumer(group, asker, number)


async def go_on(port: int, members: Members) -> int:
    """How many members go on where they were at a coordinator that was started again."""
    loop = asyncio.get_running_loop()
    await find_home(port, members[0].group)
    kept = 0
    for member in members:
        epoch, owned = getattr(member, "epoch", 0), getattr(member, "owned", None)
        member.asker = Asker((await loop.create_connection(Connection, "127.0.0.1", port))[1])
        kept += await member.beat() and (getattr(member, "epoch", 0), getattr(member, "owned", None)) == (epoch, owned)
    return kept


def run(sizes: list[int], directory: Path) -> bool:
    """Whether a member costs about the same in every size, and a killed coordinator lost nobody."""
    cluster = Cluster(directory, 1, flags=("--no-bill", "--wal-size", "64MiB"))
    held = True
    try:
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        for kind in ("classic", "consumer"):
            per_member = []
            for count in sizes:
                if kind == "consumer":
                    _make_topic(admin, count)
                cpu_s, members = uvloop.run(measure(cluster, kind, count))
                per_member.append(cpu_s / count)
            cluster.kill()
            cluster.start()
            kept = uvloop.run(go_on(cluster.ports[0], members))
            growth = per_member[-1] / max(per_member[0], 1e-9)
            held = held and kept == sizes[-1] and growth <= BAR
            print(f"{kind}: a member costs {growth:.1f} times as much in the larger; {kept} of {sizes[-1]} went on")
    finally:
        cluster.stop()
    print("clean" if held else "broken")
    return held


def _make_topic(admin: AdminClient, partitions: int) -> None:
    if TOPIC in admin.list_topics(timeout=10).topics:
        admin.delete_topics([TOPIC])[TOPIC].result()
    admin.create_topics([NewTopic(TOPIC, partitions)])[TOPIC].result()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--members", default="300,1000", metavar="SMALLER,LARGER")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-joins-"))
    try:
        return 0 if run([int(size) for size in asked.members.split(",")], directory) else 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
