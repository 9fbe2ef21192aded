"""`python -m tests.bars.commits`: offset commits a second on three brokers, each durable before it is answered.

Several hundred groups, spread over the three coordinators, each with one OffsetCommit under way at a time, as
consumers have it. Then all brokers are killed with kill -9 and started again, and OffsetFetch must give every group an
offset that is at least the last one acknowledged and at most the last one sent. The last line is the verdict; exit 0
when at least 5,000 a second were acknowledged and none was lost.

    --metadata URL      another metadata store than SQLite in the cluster's directory
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import uvloop
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster, usage

BAR_PER_S = 5_000
TOPIC = "commits"
CONNECTIONS = 6
"""To each broker; a broker takes 64 requests of one connection at a time."""


def text(value: str | None) -> bytes:
    return b"\xff\xff" if value is None else struct.pack(">h", len(value)) + value.encode()


def commit_body(group: str, offset: int) -> bytes:
    """OffsetCommit version 7 of one partition, by a consumer that is in no group."""
    head = text(group) + struct.pack(">i", -1) + text("") + text(None) + struct.pack(">i", 1) + text(TOPIC)
    return head + struct.pack(">iiqi", 1, 0, offset, -1) + text(None)


def commit_error(answer: bytes) -> int:
    """The error code of the one partition: the last two bytes."""
    code: int = struct.unpack_from(">h", answer, len(answer) - 2)[0]
    return code


def fetched_offset(answer: bytes) -> int:
    """OffsetFetch version 5 of one partition of one topic: throttle, topics, name, partitions, index, offset."""
    at = 4 + 4 + 2 + len(TOPIC) + 4 + 4
    offset: int = struct.unpack_from(">q", answer, at)[0]
    return offset


class Connection(asyncio.Protocol):
    """Requests in, answers matched by their order."""

    def __init__(self) -> None:
        self._rest = b""
        self._waiting: list[asyncio.Future[bytes]] = []
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error or ConnectionResetError())

    def ask(self, key: int, version: int, body: bytes) -> asyncio.Future[bytes]:
        self._number += 1
        frame = struct.pack(">hhi", key, version, self._number) + text("bar") + body
        self.transport.write(struct.pack(">i", len(frame)) + frame)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        return answer

    def data_received(self, data: bytes) -> None:
        data, at, done = self._rest + data, 0, 0
        while len(data) - at >= 4 and len(data) - at - 4 >= (size := struct.unpack_from(">i", data, at)[0]):
            if not self._waiting[done].done():
                self._waiting[done].set_result(data[at + 8 : at + 4 + size])
            at, done = at + 4 + size, done + 1
        self._rest, self._waiting = data[at:], self._waiting[done:]


@dataclass(kw_only=True)
class Group:
    name: str
    port: int = -1
    sent: int = -1
    acked: int = -1


async def connect(ports: list[int], count: int) -> dict[int, list[Connection]]:
    loop = asyncio.get_running_loop()
    return {
        port: [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)] for port in ports
    }


async def find_coordinators(ports: list[int], groups: list[Group]) -> None:
    """FindCoordinator version 0: error, node, host, port."""
    asked = (await connect(ports[:1], 1))[ports[0]][0]
    for group in groups:
        for _ in range(200):
            answer = await asked.ask(10, 0, text(group.name))
            group.port = struct.unpack_from(">i", answer, len(answer) - 4)[0]
            if struct.unpack_from(">h", answer)[0] == 0:
                break
            await asyncio.sleep(0.1)
    asked.transport.close()


async def commit_for(groups: list[Group], connections: dict[int, list[Connection]], seconds: float) -> Counter[int]:
    """Each group commits the next offset as soon as the last was answered; how many answers had which code."""
    until = time.monotonic() + seconds
    codes: Counter[int] = Counter()

    async def run(group: Group, connection: Connection) -> None:
        while time.monotonic() < until:
            group.sent += 1
            code = commit_error(await connection.ask(8, 7, commit_body(group.name, group.sent)))
            codes[code] += 1
            if code == 0:
                group.acked = group.sent

    await asyncio.gather(
        *(run(group, connections[group.port][number % CONNECTIONS]) for number, group in enumerate(groups))
    )
    return codes


async def lost(ports: list[int], groups: list[Group]) -> list[str]:
    """Groups whose offset is not between the last acknowledged and the last sent."""
    await find_coordinators(ports, groups)
    connections = await connect(ports, 1)
    found = []
    for group in groups:
        body = text(group.name) + struct.pack(">i", 1) + text(TOPIC) + struct.pack(">ii", 1, 0)
        offset = fetched_offset(await connections[group.port][0].ask(9, 5, body))
        if not group.acked <= offset <= group.sent:
            found.append(f"{group.name}: {offset}, acknowledged {group.acked}, sent {group.sent}")
    return found


async def measure(cluster: Cluster, groups: list[Group], seconds: float) -> float:
    """Acknowledged commits per second."""
    ports = list(cluster.ports.values())
    await find_coordinators(ports, groups)
    print(f"coordinators: {sorted(Counter(group.port for group in groups).values())} of {len(groups)} groups")
    connections = await connect(ports, CONNECTIONS)
    await commit_for(groups, connections, min(2.0, seconds))
    before = {broker: usage(pid) for broker, pid in cluster.pids.items()}
    began = time.monotonic()
    codes = await commit_for(groups, connections, seconds)
    rate = codes[0] / (time.monotonic() - began)
    shares = [usage(pid).share_since(before[broker]) for broker, pid in cluster.pids.items()]
    print(f"{rate:.0f} acknowledged a second; answers by error code {dict(codes)}")
    print(f"CPU of the brokers, of a core: {' '.join(f'{share:.2f}' for share in shares)}", flush=True)
    return rate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--groups", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--metadata", default=None, metavar="URL")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-commits-"))
    cluster = Cluster(directory, metadata=asked.metadata)
    groups = [Group(name=f"group-{number}") for number in range(asked.groups)]
    try:
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics([NewTopic(TOPIC, 1)])[TOPIC].result()
        rate = uvloop.run(measure(cluster, groups, asked.seconds))
        cluster.kill()
        cluster.start()
        missing = uvloop.run(lost(list(cluster.ports.values()), groups))
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print("\n".join(missing[:5]))
    held = rate >= BAR_PER_S and not missing
    verdict = "clean" if held else "broken"
    print(
        f"{verdict}: {rate:.0f} commits a second (bar {BAR_PER_S}), {len(missing)} groups lost one after kill -9 of all"
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
