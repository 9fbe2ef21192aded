"""The object WAL on a real S3 API (moto): If-None-Match decides between a writer and a fence."""

import asyncio
import random
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from broker.clock import SystemClock
from broker.objects import open_store
from broker.wal.shelf import Shelf
from broker.wal.slot_fence import fence_and_read
from broker.wal.slot_sweep import sweep_slots
from tests.broker.wal.slot_world import World, offsets, until


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="bucket")
    world = World()
    world.clock = SystemClock()
    world.store = open_store("s3://bucket/prefix", clock=world.clock, rng=random.Random(1))
    yield world
    server.stop()


async def test_a_writer_and_its_recoverer_meet_in_one_slot(world: World) -> None:
    wal = world.writer()
    for number in range(5):
        world.append(wal, number, size=50_000)
        await until(lambda n=number: n in world.acknowledged)
    await wal.trim(2)
    shelf = Shelf(store=world.store, broker=0, epoch=1, clock=world.clock)
    fenced = await fence_and_read(shelf, world.word, b"f" * 16)
    assert set(world.acknowledged) - {0, 1} <= set(offsets(fenced.entries))
    world.append(wal, 5)
    assert "holds a fence" in str(await asyncio.wait_for(wal.failed, 30))
    await wal.close()
    await sweep_slots(world.store, world.word, world.clock)
    assert await world.keys() == [f"wal/0/1/{fenced.fence:012d}"]
