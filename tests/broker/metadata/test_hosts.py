"""Which hosts may keep what they acknowledged to themselves, and what is given up when one is lost."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import InvalidRequest
from broker.log.duties import MetadataDuties
from broker.metadata import Metadata, commits, members
from broker.metadata.hosts import refuse_second_host
from broker.metadata.losses import Loss, declare_lost
from broker.metadata.rows import Extent
from broker.wal.base import WalError
from tests.broker.metadata.conftest import registration


async def test_a_second_host_with_a_wal_of_its_own_is_refused_with_the_ways_out(metadata: Metadata) -> None:
    away = replace(registration(7), host_id="there")
    with pytest.raises(InvalidRequest, match=r"broker 0 runs on another host.*fence=verify.*--allow-host-durability"):
        await metadata.write(lambda tx: members.register(tx, away, 0))


@pytest.mark.parametrize(
    "change",
    [
        {"host_id": "here"},
        {"wal_url": "file:///shared?fence=verify"},
        {"wal_url": "objects://"},
        {"allow_host_durability": True},
    ],
)
async def test_a_host_joins_when_its_wal_outlives_it_or_when_that_was_allowed(
    metadata: Metadata, change: dict[str, Any]
) -> None:
    away = replace(registration(7), **{"host_id": "there", **change})
    assert await metadata.write(lambda tx: refuse_second_host(tx, away)) is None


async def test_hosts_that_are_gone_do_not_count(metadata: Metadata) -> None:
    await metadata.write(lambda tx: tx.run("UPDATE brokers SET alive = 0"))
    away = replace(registration(7), host_id="there")
    assert await metadata.write(lambda tx: refuse_second_host(tx, away)) is None


async def test_a_lost_wal_is_given_up_by_name_and_its_partitions_open_without_it(metadata: Metadata) -> None:
    await metadata.create_topic("t", partitions=2, assignments={0: [0], 1: [1]})
    partition = metadata.image.partition("t", 0)
    assert partition is not None
    epoch = metadata.image.brokers[0].epoch
    extent = Extent(
        uid=partition.uid, epoch=partition.epoch, start=0, end=5, size_bytes=9, max_timestamp_ms=1, producers=b""
    )
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))
    await metadata.write(lambda tx: commits.commit(tx, object_id, 9, [extent], (0, epoch), 0))
    with pytest.raises(InvalidRequest, match="broker 0 is alive"):
        await metadata.write(lambda tx: declare_lost(tx, 0))
    await metadata.write(lambda tx: tx.run("UPDATE brokers SET alive = 0 WHERE id = 0"))
    assert await metadata.change(lambda tx: declare_lost(tx, 0)) == [Loss(topic="t", index=0, epoch=0, from_offset=5)]
    opened, untouched = metadata.image.partition("t", 0), metadata.image.partition("t", 1)
    assert opened is not None
    assert untouched is not None
    assert opened.owner in (1, 2)
    assert (opened.epoch, untouched.owner, untouched.epoch) == (1, 1, 0)
    late = replace(extent, start=5, end=9)
    again = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))
    assert await metadata.write(lambda tx: commits.commit(tx, again, 9, [late], (0, epoch), 0)) == {partition.uid}


async def test_only_a_known_brokers_wal_can_be_lost(metadata: Metadata) -> None:
    with pytest.raises(InvalidRequest, match="broker 9 is not known"):
        await metadata.write(lambda tx: declare_lost(tx, 9))


async def test_the_fence_is_asked_beside_a_long_read_and_not_behind_it(metadata: Metadata) -> None:
    over = threading.Event()
    long = asyncio.ensure_future(metadata.read(lambda tx: over.wait(60)))
    duties, epoch = MetadataDuties(metadata), metadata.image.brokers[0].epoch
    async with asyncio.timeout(30):
        await duties.verify(0, epoch)
        await metadata.write(lambda tx: tx.run("UPDATE brokers SET alive = 0 WHERE id = 0"))
        with pytest.raises(WalError, match="declared dead"):
            await duties.verify(0, epoch)
    over.set()
    assert await long
