"""Laws that no other test holds by itself: identity, the loop, and what metrics may carry a partition."""

import asyncio
import re
from pathlib import Path
from typing import Any

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from broker.telemetry.loopwatch import LoopWatch
from tests.tries import awaited_in_one_of_three

STEP_S = 0.02
MAY_CARRY_A_PARTITION = {
    "kafka_network_io_bytes_total",
    "kafka_log_start_offset",
    "kafka_log_end_offset",
    "kafka_log_size",
}


async def test_a_topic_made_again_is_another_one(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    first = await cluster.metadata().create_topic("t", partitions=1)
    await (await cluster.log(0)).append(make_batch(3), acks=-1)
    await cluster.metadata().delete_topic("t")
    second = await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    assert (second.id != first.id, log.uid != first.partitions[0].uid) == (True, True)
    assert (log.log_end, log.epoch) == (0, 0)


async def test_appends_uploads_and_reads_keep_the_loop_free(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)

    async def all_of_it() -> None:
        watch = LoopWatch(SystemClock())
        watching = asyncio.create_task(watch.run())
        for _ in range(20):
            await asyncio.gather(*(log.append(make_batch(1, size=16_000), acks=-1) for _ in range(5)))
            await log.read(0, 1 << 20, min_one=True)
        await logs._uploader.upload(list(logs))
        await asyncio.sleep(0.05)
        watching.cancel()
        assert watch.longest_s() < STEP_S

    await awaited_in_one_of_three(all_of_it)


async def test_only_bytes_offsets_and_size_carry_a_partition(tmp_path: Path) -> None:
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0", "--no-bill"]
    node = Node(parse(flags), SystemClock())
    await node.start()
    try:
        await node._metadata.create_topic("t", partitions=2)
        await asyncio.sleep(0.3)
        page = await node._metrics().text()
    finally:
        await node.stop()
    carriers = set(re.findall(r"^(\w+)\{[^}]*\bpartition=", page, re.MULTILINE))
    assert carriers == MAY_CARRY_A_PARTITION
