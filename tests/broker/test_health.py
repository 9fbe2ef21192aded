"""What an orchestrator sees: ready exactly while clients are served, healthy until there is a fault."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def both(http: str) -> tuple[int, int]:
    """Of /readyz and /healthz."""
    loop = asyncio.get_running_loop()
    first, second = (loop.run_in_executor(None, status, f"{http}/{page}") for page in ("readyz", "healthz"))
    return await first, await second


def a_node(path: Path) -> Node:
    flags = ["--dir", str(path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0", "--no-bill"]
    return Node(parse(flags), SystemClock())


async def test_ready_from_the_end_of_the_start_to_the_beginning_of_the_end(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    address = await node.start()
    assert await both(address.http) == (200, 200)
    stopping = asyncio.ensure_future(node.stop())
    await asyncio.sleep(0)
    assert node._readiness().status == 503
    assert node._health().status == 200
    await stopping


async def test_a_fault_is_neither_ready_nor_healthy(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    address = await node.start()
    node._logs._fail(Exception("the WAL's disk is gone"))
    assert await both(address.http) == (503, 503)
    await node.stop()
