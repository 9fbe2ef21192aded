"""What tools ask about a cluster: where leaderships ended, what is where, and what there is to be had."""

from __future__ import annotations

from typing import Any

from broker.errors import (
    FeatureUpdateFailed,
    FencedLeaderEpoch,
    GroupIdNotFound,
    GroupSubscribedToTopic,
    InvalidRequest,
    InvalidUpdateVersion,
    UnknownLeaderEpoch,
    UnknownTopicOrPartition,
)
from broker.features import FEATURES
from tests.broker.api.asking import LONG, batch, create, fetch, produce
from tests.broker.api.conftest import Broker, Wire
from tests.broker.api.test_groups import SESSION, commit, find_coordinator, join, sync


async def epoch_end(wire: Wire, topic: str, epoch: int, *, current: int = -1, version: int = 4) -> tuple[int, int, int]:
    part = {"partition": 0, "current_leader_epoch": current, "leader_epoch": epoch}
    found = await wire.ask(23, version, replica_id=-1, topics=[{"topic": topic, "partitions": [part]}])
    answer = found.topics[0].partitions[0]
    return int(answer.error_code), answer.leader_epoch, answer.end_offset


async def test_a_leadership_ends_where_the_log_does_until_the_next_begins(wire: Wire) -> None:
    await create(wire, "t")
    await produce(wire, "t", batch())
    for version in (2, 3, 4):
        assert await epoch_end(wire, "t", 0, version=version) == (0, 0, 1)
    assert await epoch_end(wire, "t", 7) == (0, -1, -1)
    assert (await epoch_end(wire, "t", 0, current=9))[0] == UnknownLeaderEpoch.code
    assert (await epoch_end(wire, "nowhere", 0))[0] == UnknownTopicOrPartition.code


async def test_an_old_leadership_ended_where_the_next_began(broker: Broker, wire: Wire) -> None:
    await create(wire, "t")
    await produce(wire, "t", batch())
    log = broker.node._logs.get("t", 0)
    uid = log.uid
    moved = "UPDATE partitions SET epoch = 1 WHERE uid = ?"
    opened = "INSERT INTO epochs(uid, epoch, broker, broker_epoch, start) VALUES (?, 1, 0, 1, 1)"
    await broker.node._metadata.write(lambda tx: (tx.run(moved, uid), tx.run(opened, uid)))
    log.epoch = 1
    assert await epoch_end(wire, "t", 0) == (0, 0, 1)
    assert (await epoch_end(wire, "t", 0, current=0))[0] == FencedLeaderEpoch.code


async def describe_topics(wire: Wire, *names: str, limit: int = 2000, cursor: Any = None) -> Any:
    topics = [{"name": name} for name in names]
    return await wire.ask(75, 0, topics=topics, response_partition_limit=limit, cursor=cursor)


async def test_partitions_are_told_in_pages(wire: Wire) -> None:
    await create(wire, "a", partitions=3)
    await create(wire, "b", partitions=2)
    seen, cursor = [], None
    for _ in range(3):
        found = await describe_topics(wire, limit=2, cursor=cursor)
        seen += [(topic.name, part.partition_index) for topic in found.topics for part in topic.partitions]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)]
    named = await describe_topics(wire, "nowhere", "b")
    assert [(topic.name, int(topic.error_code)) for topic in named.topics] == [("b", 0), ("nowhere", 3)]
    assert [part.leader_id for part in named.topics[0].partitions] == [0, 0]


async def test_bytes_are_told_where_they_are(wire: Wire) -> None:
    await create(wire, "t", partitions=2)
    await produce(wire, "t", batch(b"x" * 40))
    for version in range(1, 6):
        asked = [{"topic": "t", "partitions": (0, 1, 9)}]
        found = await wire.ask(35, version, topics=asked)
        wal, objects = found.results
        assert wal.log_dir.startswith("file://")
        sizes = {part.partition_index: part.partition_size for part in wal.topics[0].partitions}
        assert (sizes[0] > 40, sizes[1], len(sizes)) == (True, 0, 2)
        assert [part.partition_size for part in objects.topics[0].partitions] == [0, 0]
    assert (await wire.ask(35, 4, topics=None)).results[0].total_bytes == 32 * 1024 * 1024


async def test_the_controller_stands_for_a_quorum(wire: Wire) -> None:
    for version in range(3):
        asked = [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]
        part = (await wire.ask(55, version, topics=asked)).topics[0].partitions[0]
        assert (int(part.error_code), [voter.replica_id for voter in part.current_voters]) == (0, [0])
        assert part.high_watermark > 0
    other = [{"topic_name": "t", "partitions": [{"partition_index": 0}]}]
    assert int((await wire.ask(55, 2, topics=other)).error_code) == InvalidRequest.code


async def test_features_are_told_and_stay_as_they_are(wire: Wire) -> None:
    name, feature = next(iter(FEATURES.items()))
    found = await wire.ask(18, 4, client_software_name="c", client_software_version="1")
    told = {each.name: (each.min_version, each.max_version) for each in found.supported_features}
    assert told[name] == (feature.low, feature.high)
    for asked, level, code in (
        (name, feature.level, 0),
        (name, 99, InvalidUpdateVersion.code),
        ("nonsense", 1, InvalidUpdateVersion.code),
        *([(name, feature.low, FeatureUpdateFailed.code)] if feature.low != feature.level else []),
    ):
        update = {"feature": asked, "max_version_level": level}
        changed = await wire.ask(57, 1, timeout=LONG, feature_updates=[update], validate_only=False)
        assert int(changed.error_code) == code


async def delete_offsets(wire: Wire, group: str, topic: str) -> tuple[int, int | None]:
    asked = [{"name": topic, "partitions": [{"partition_index": 0}]}]
    found = await wire.ask(47, 0, group_id=group, topics=asked)
    return int(found.error_code), int(found.topics[0].partitions[0].error_code) if found.topics else None


async def test_offsets_are_deleted_unless_somebody_reads_the_topic(wire: Wire) -> None:
    await find_coordinator(wire)
    assert await delete_offsets(wire, "g", "t") == (GroupIdNotFound.code, None)
    for topic in ("t", "u"):
        await create(wire, topic)
    subscribed = b"\0\0" + b"\0\0\0\1" + b"\0\1t" + b"\xff\xff\xff\xff"
    protocols = [{"name": "range", "metadata": subscribed}]
    asked = await join(wire, protocols=protocols)
    member = await join(wire, member_id=asked.member_id, protocols=protocols, session_timeout=SESSION)
    await sync(wire, member)
    who = {"member_id": member.member_id, "generation_id_or_member_epoch": member.generation_id}
    for topic in ("t", "u"):
        assert await commit(wire, topic, 9, **who) == 0
    assert await delete_offsets(wire, "g", "t") == (0, GroupSubscribedToTopic.code)
    assert await delete_offsets(wire, "g", "u") == (0, 0)
    assert await delete_offsets(wire, "g", "nowhere") == (0, UnknownTopicOrPartition.code)
    left = await wire.ask(9, 8, groups=[{"group_id": "g", "topics": None}], require_stable=True)
    assert [topic.name for topic in left.groups[0].topics] == ["t"]


async def test_every_value_that_is_set_is_a_synonym_in_the_order_that_holds(wire: Wire) -> None:
    await create(wire, "t", retention_ms="1000")
    change = {"name": "log.retention.ms", "config_operation": 0, "value": "5000"}
    asked = [{"resource_type": 4, "resource_name": "", "configs": [change]}]
    assert int((await wire.ask(44, 1, resources=asked, validate_only=False)).responses[0].error_code) == 0
    wanted = [{"resource_type": 2, "resource_name": "t", "configuration_keys": ("retention.ms",)}]
    found = await wire.ask(32, 4, resources=wanted, include_synonyms=True, include_documentation=True)
    (config,) = found.results[0].configs
    assert [(s.name, s.value, s.source) for s in config.synonyms] == [
        ("retention.ms", "1000", 1),
        ("log.retention.ms", "5000", 3),
        ("log.retention.ms", "604800000", 5),
    ]
    assert (config.config_type, config.read_only, bool(config.documentation)) == (5, False, True)


async def test_a_change_that_is_only_checked_changes_nothing(wire: Wire) -> None:
    await create(wire, "t")
    asked = [{"resource_type": 2, "resource_name": "t", "configs": [{"name": "retention.ms", "value": "1000"}]}]
    for only_checked, value in ((True, "604800000"), (False, "1000")):
        found = await wire.ask(33, 2, resources=asked, validate_only=only_checked)
        assert int(found.responses[0].error_code) == 0
        wanted = [{"resource_type": 2, "resource_name": "t", "configuration_keys": ("retention.ms",)}]
        shown = await wire.ask(32, 4, resources=wanted, include_synonyms=False, include_documentation=False)
        assert shown.results[0].configs[0].value == value
    twice = await wire.ask(33, 2, resources=asked * 2, validate_only=False)
    assert [int(each.error_code) for each in twice.responses] == [InvalidRequest.code] * 2


async def test_a_fetch_after_the_questions_still_reads(wire: Wire) -> None:
    await create(wire, "t")
    await produce(wire, "t", batch())
    assert (await epoch_end(wire, "t", 0))[0] == 0
    assert (await fetch(wire, "t")).high_watermark == 1
