"""Topics, configs, the cluster and reassignments as an admin client meets them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.api.asking import LONG, create
from tests.broker.api.conftest import Wire


async def metadata(wire: Wire, *names: str, version: int = 12, create_missing: bool = False) -> Any:
    topics = [{"name": name, "topic_id": None} for name in names] if names else None
    return await wire.ask(
        3,
        version,
        topics=topics,
        allow_auto_topic_creation=create_missing,
        include_topic_authorized_operations=False,
        include_cluster_authorized_operations=False,
    )


async def test_metadata_names_brokers_topics_and_leaders_in_every_version(wire: Wire) -> None:
    created = await create(wire, "t", partitions=3)
    for version in range(14):
        found = await metadata(wire, "t", version=version)
        assert [broker.node_id for broker in found.brokers] == [0]
        assert [part.leader_id for part in found.topics[0].partitions] == [0, 0, 0]
        if version >= 10:
            assert found.topics[0].topic_id == created.topic_id
        if version >= 1:
            assert found.brokers[0].rack == "z0"


async def test_all_topics_are_told_when_none_is_named(wire: Wire) -> None:
    await create(wire, "t")
    assert "t" in {topic.name for topic in (await metadata(wire)).topics}


async def test_a_topic_is_created_by_asking_only_when_the_client_allows_it(wire: Wire) -> None:
    refused = await metadata(wire, "new")
    assert int(refused.topics[0].error_code) == 3
    made = await metadata(wire, "new", create_missing=True)
    assert (int(made.topics[0].error_code), len(made.topics[0].partitions)) == (0, 1)


NAMES = ["", ".", "..", "../etc/passwd", "a\0b", "a" * 250, "a b", "täglich", "a/b"]


@pytest.mark.parametrize("name", NAMES)
async def test_an_illegal_name_is_refused_everywhere(name: str, wire: Wire) -> None:
    assert int((await create(wire, name)).error_code) == 17
    assert int((await metadata(wire, name, create_missing=True)).topics[0].error_code) == 17


async def test_what_cannot_be_created_says_why(wire: Wire) -> None:
    await create(wire, "a.b")
    assert int((await create(wire, "a.b")).error_code) == 36
    assert int((await create(wire, "a_b")).error_code) == 17
    assert int((await create(wire, "t", partitions=0)).error_code) == 37
    assert int((await create(wire, "t", retention_ms="soon")).error_code) == 40
    unknown = await create(wire, "t", no_such_config="1")
    assert (int(unknown.error_code), unknown.error_message) == (40, "Unknown topic config name: no.such.config")


async def test_partitions_are_bounded_by_request_and_by_cluster(wire: Wire) -> None:
    everywhere = {"resource_type": 4, "resource_name": ""}
    bounds = {"max.partitions.per.request": "5", "max.partitions": "8"}
    configs = [{"name": name, "config_operation": 0, "value": value} for name, value in bounds.items()]
    await wire.ask(44, 1, resources=[{**everywhere, "configs": configs}], validate_only=False)
    sizes = {"replication_factor": 1, "assignments": (), "configs": ()}
    topics = [{"name": name, "num_partitions": count, **sizes} for name, count in (("a", 4), ("b", 2), ("c", -1))]
    found = (await wire.ask(19, 7, topics=topics, timeout=LONG)).topics
    assert [int(each.error_code) for each in found] == [0, 37, 37]
    assert "6 new partitions in one request; 5 may be" in found[1].error_message
    assert int((await create(wire, "b", partitions=3)).error_code) == 0
    over = await create(wire, "c", partitions=2)
    assert (int(over.error_code), "2 more partitions in a cluster of 7; 8 may be" in over.error_message) == (37, True)
    asked = [{"name": "a", "count": 6, "assignments": None}]
    grown = await wire.ask(37, 3, topics=asked, timeout=LONG, validate_only=False)
    assert int(grown.results[0].error_code) == 37
    assert int((await create(wire, "c")).error_code) == 0
    assert int((await metadata(wire, "d", create_missing=True)).topics[0].error_code) != 0


async def test_a_topic_grows_and_does_not_shrink(wire: Wire) -> None:
    await create(wire, "t", partitions=2)
    codes = []
    for count in (5, 5, 1):
        asked = [{"name": "t", "count": count, "assignments": None}]
        found = await wire.ask(37, 3, topics=asked, timeout=LONG, validate_only=False)
        codes.append(int(found.results[0].error_code))
    assert codes == [0, 37, 37]
    assert len((await metadata(wire, "t")).topics[0].partitions) == 5


async def test_a_deleted_topic_is_gone_by_name_and_id(wire: Wire) -> None:
    created = await create(wire, "t")
    asked = [{"name": None, "topic_id": created.topic_id}]
    assert int((await wire.ask(20, 6, topics=asked, timeout=LONG)).responses[0].error_code) == 0
    assert int((await wire.ask(20, 6, topics=asked, timeout=LONG)).responses[0].error_code) == 100
    assert int((await wire.ask(20, 4, topic_names=["t"], timeout=LONG)).responses[0].error_code) == 3


async def describe(wire: Wire, kind: int, name: str) -> dict[str, tuple[str, int]]:
    asked = [{"resource_type": kind, "resource_name": name, "configuration_keys": None}]
    found = await wire.ask(32, 4, resources=asked, include_synonyms=True, include_documentation=True)
    assert int(found.results[0].error_code) == 0
    return {config.name: (config.value, config.config_source) for config in found.results[0].configs}


async def alter(wire: Wire, kind: int, name: str, config: str, operation: int, value: str | None) -> int:
    change = {"name": config, "config_operation": operation, "value": value}
    asked = [{"resource_type": kind, "resource_name": name, "configs": [change]}]
    return int((await wire.ask(44, 1, resources=asked, validate_only=False)).responses[0].error_code)


async def test_a_config_is_set_appended_to_and_deleted(wire: Wire) -> None:
    await create(wire, "t")
    assert await alter(wire, 2, "t", "retention.ms", 0, "1000") == 0
    assert await alter(wire, 2, "t", "cleanup.policy", 2, "compact") == 0
    found = await describe(wire, 2, "t")
    assert (found["retention.ms"], found["cleanup.policy"]) == (("1000", 1), ("delete,compact", 1))
    assert await alter(wire, 2, "t", "retention.ms", 1, None) == 0
    assert (await describe(wire, 2, "t"))["retention.ms"] == ("604800000", 5)


async def test_a_topic_inherits_what_is_set_for_all_brokers(wire: Wire) -> None:
    await create(wire, "t")
    assert await alter(wire, 4, "", "log.retention.ms", 0, "5000") == 0
    assert (await describe(wire, 2, "t"))["retention.ms"] == ("5000", 3)
    assert (await describe(wire, 4, "0"))["broker.rack"] == ("z0", 4)


async def test_the_throttles_of_a_reassignment_are_set_and_cleared_though_nothing_is_copied(wire: Wire) -> None:
    rate = "leader.replication.throttled.rate"
    assert await alter(wire, 4, "0", rate, 1, None) == 0
    assert await alter(wire, 4, "0", rate, 0, "1000000") == 0
    assert (await describe(wire, 4, "0"))[rate] == ("1000000", 2)


async def test_configs_that_cannot_be_set_are_refused(wire: Wire) -> None:
    await create(wire, "t")
    assert await alter(wire, 2, "t", "nonsense", 0, "1") == 40
    assert await alter(wire, 2, "t", "compression.type", 0, "gzip") == 40
    assert await alter(wire, 2, "t", "retention.ms", 2, "1") == 40
    assert await alter(wire, 2, "nowhere", "retention.ms", 0, "1") == 3
    assert await alter(wire, 4, "0", "broker.rack", 0, "z9") == 40
    assert await alter(wire, 4, "9", "log.retention.ms", 0, "1") == 42


async def test_the_cluster_is_described_in_every_version(wire: Wire) -> None:
    for version in range(3):
        found = await wire.ask(60, version, include_cluster_authorized_operations=True, include_fenced_brokers=False)
        assert [(broker.broker_id, broker.rack) for broker in found.brokers] == [(0, "z0")]


async def test_an_election_says_why_there_is_none(wire: Wire) -> None:
    await create(wire, "t")
    asked = [{"topic": "t", "partitions": (0, 9)}]
    for version in range(3):
        found = await wire.ask(43, version, election_type=0, topic_partitions=asked, timeout=LONG)
        results = found.replica_election_results[0].partition_result
        assert [(part.partition_id, int(part.error_code)) for part in results] == [(0, 84), (9, 3)]
    everything = await wire.ask(43, 2, election_type=0, topic_partitions=None, timeout=LONG)
    assert everything.replica_election_results == ()
    unclean = await wire.ask(43, 2, election_type=1, topic_partitions=asked[:1], timeout=LONG)
    assert int(unclean.replica_election_results[0].partition_result[0].error_code) == 84
    assert int((await wire.ask(43, 2, election_type=7, topic_partitions=None, timeout=LONG)).error_code) == 42


async def test_a_reassignment_that_cannot_be_is_refused(wire: Wire) -> None:
    await create(wire, "t")
    for replicas, code in (([9], 39), ([], 39), ([0, 0], 39), (None, 85), ([0], 0)):
        part = {"partition_index": 0, "replicas": None if replicas is None else tuple(replicas)}
        found = await wire.ask(45, 0, timeout=LONG, topics=[{"name": "t", "partitions": [part]}])
        assert int(found.responses[0].partitions[0].error_code) == code
    assert (await wire.ask(46, 0, timeout=LONG, topics=None)).topics == ()
