"""SQLite behind threads: group commits, refusals that stay alone, fairness between processes, versioned changes (law
9).
"""

import asyncio
from typing import Any

import pytest

from broker.errors import KafkaError, TopicAlreadyExists, UnknownTopicOrPartition
from broker.metadata import Coordinator, GroupRow, Metadata, OffsetRow
from broker.metadata.database import KEPT_CHANGES, Tx


async def test_a_refused_job_fails_alone(metadata: Metadata) -> None:
    await metadata.create_topic("a", partitions=1)
    answers = await asyncio.gather(
        metadata.create_topic("b", partitions=1),
        metadata.create_topic("a", partitions=1),
        metadata.create_topic("c", partitions=1),
        return_exceptions=True,
    )
    assert isinstance(answers[1], TopicAlreadyExists)
    assert set(metadata.image.topics) == {"a", "b", "c"}


async def test_others_see_a_change_after_a_refresh_and_only_load_what_changed(
    metadata: Metadata, open_metadata: Any
) -> None:
    other = await open_metadata()
    await metadata.create_topic("a", partitions=3)
    await metadata.create_topic("b", partitions=1)
    await other.refresh()
    before = other.image
    await metadata.alter_configs("topic", "a", {"retention.ms": "5"})
    await metadata.add_partitions("b", 2)
    image = await other.refresh()
    assert image.topics["a"].configs == {"retention.ms": "5"}
    assert len(image.topics["b"].partitions) == 2
    assert image.topics["a"].partitions[0] is before.topics["a"].partitions[0]
    assert image.version == metadata.image.version
    await metadata.delete_topic("a")
    assert set((await other.refresh()).topics) == {"b"}


async def test_a_reader_that_fell_too_far_behind_loads_everything(metadata: Metadata, open_metadata: Any) -> None:
    other = await open_metadata()

    def leap(tx: Tx) -> None:
        tx.run("UPDATE version SET version = version + ?", KEPT_CHANGES + 5)
        tx.changed("brokers")

    await metadata.write(leap)
    await metadata.create_topic("late", partitions=1)
    assert "late" in (await other.refresh()).topics


async def test_new_partitions_are_spread_round_robin_one_replica_per_zone(metadata: Metadata) -> None:
    topic = await metadata.create_topic("t", partitions=6, replication_factor=3)
    owners = [partition.owner for partition in topic.partitions]
    assert sorted(owners) == [0, 0, 1, 1, 2, 2]
    assert all(len(set(partition.replicas)) == 3 for partition in topic.partitions)
    assert all(partition.replicas[0] == partition.owner for partition in topic.partitions)
    second = await metadata.create_topic("u", partitions=1, replication_factor=9)
    assert len(second.partitions[0].replicas) == 3


async def test_cordoned_brokers_get_nothing_new(metadata: Metadata) -> None:
    await metadata.cordon(1, True)
    topic = await metadata.create_topic("t", partitions=4)
    assert {partition.owner for partition in topic.partitions} == {0, 2}


async def test_offsets_are_conditional_on_the_coordinators_leadership(metadata: Metadata) -> None:
    topic = await metadata.create_topic("t", partitions=1)
    partition = topic.partitions[0]
    mine = Coordinator(uid=partition.uid, owner=partition.owner, epoch=partition.epoch)
    row = OffsetRow(offset=5, leader_epoch=0, metadata="", committed_at_ms=1)
    await metadata.commit_offsets("g", {(topic.id, 0): row}, mine)
    assert await metadata.fetch_offsets("g") == {(topic.id, 0): row}
    stale = Coordinator(uid=partition.uid, owner=partition.owner, epoch=partition.epoch + 1)
    with pytest.raises(KafkaError, match="no longer coordinates"):
        await metadata.commit_offsets("g", {(topic.id, 0): row}, stale)
    await metadata.save_group(GroupRow(group_id="g", coordinator_uid=partition.uid, state="{}"), mine)
    assert [group.group_id for group in await metadata.groups(partition.uid)] == ["g"]
    await metadata.delete_group("g", mine)
    assert await metadata.fetch_offsets("g") == {}


async def test_producer_ids_never_repeat(metadata: Metadata, open_metadata: Any) -> None:
    other = await open_metadata()
    firsts = await asyncio.gather(*(store.allocate_producer_ids(10) for store in (metadata, other) for _ in range(5)))
    assert len({first + n for first in firsts for n in range(10)}) == 100


async def test_what_does_not_exist_is_said_by_name(metadata: Metadata) -> None:
    with pytest.raises(UnknownTopicOrPartition, match="no topic nope"):
        await metadata.delete_topic("nope")


@pytest.mark.parametrize("rows", [2, 50])
async def test_many_rows_that_touch_the_same_one_all_count(metadata: Metadata, rows: int) -> None:
    (before,) = await metadata.read(lambda tx: tx.one("SELECT heartbeat FROM brokers WHERE id = 1"))
    await metadata.write(
        lambda tx: tx.many("UPDATE brokers SET heartbeat = heartbeat + ? WHERE id = ?", [(n, 1) for n in range(rows)])
    )
    (after,) = await metadata.read(lambda tx: tx.one("SELECT heartbeat FROM brokers WHERE id = 1"))
    assert after - before == sum(range(rows))
