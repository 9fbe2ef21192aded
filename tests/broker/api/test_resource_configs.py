"""Configs of groups (KIP-848) and of client metrics (KIP-714): set, listed, described, and heeded."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

from tests.broker.api.asking import create
from tests.broker.api.conftest import Broker, Wire
from tests.broker.api.test_client_telemetry import otlp, push, subscribe

SUBSCRIPTION, GROUP = 16, 32
INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_SUBSCRIPTION = 40, 42, 117


async def alter(wire: Wire, kind: int, name: str, **values: str | None) -> int:
    """Sets configs; None deletes one."""
    configs = [
        {"name": key.replace("_", "."), "config_operation": 0 if value is not None else 1, "value": value}
        for key, value in values.items()
    ]
    resources = [{"resource_type": kind, "resource_name": name, "configs": configs}]
    return int((await wire.ask(44, 1, resources=resources, validate_only=False)).responses[0].error_code)


async def describe(wire: Wire, kind: int, name: str) -> dict[str, tuple[str, int]]:
    """Value and source by name."""
    resources = [{"resource_type": kind, "resource_name": name, "configuration_keys": None}]
    found = await wire.ask(32, 4, resources=resources, include_synonyms=True, include_documentation=False)
    return {config.name: (config.value, int(config.config_source)) for config in found.results[0].configs}


async def listed(wire: Wire, version: int, *kinds: int) -> list[tuple[int, str]]:
    found = await wire.ask(74, version, resource_types=list(kinds))
    assert int(found.error_code) == 0
    return [(int(getattr(one, "resource_type", 16)), one.resource_name) for one in found.config_resources]


async def heartbeat_ms(wire: Wire, group: str) -> int:
    """What a member that joins is told."""
    async with asyncio.timeout(30):
        while True:
            await wire.ask(10, 3, key=group, key_type=0)
            found = await wire.ask(
                68, 1, group_id=group, member_id=str(uuid.uuid4()), member_epoch=0, instance_id=None, rack_id=None,
                rebalance_timeout=timedelta(seconds=45), subscribed_topic_names=["t"], subscribed_topic_regex=None,
                server_assignor=None, topic_partitions=[],
            )  # fmt: skip
            if int(found.error_code) == 0:
                return round(found.heartbeat_interval.total_seconds() * 1000)
            await asyncio.sleep(0.05)


async def test_what_has_configs_is_listed_by_type(wire: Wire) -> None:
    await create(wire, "t")
    assert await alter(wire, SUBSCRIPTION, "all", metrics="*") == 0
    assert await alter(wire, GROUP, "g", consumer_session_timeout_ms="30000") == 0
    assert await listed(wire, 0) == [(16, "all")]
    assert await listed(wire, 1) == [(2, "t"), (4, "0"), (8, "0"), (16, "all"), (32, "g")]
    assert await listed(wire, 1, 32, 16) == [(32, "g"), (16, "all")]
    assert int((await wire.ask(74, 1, resource_types=[3])).error_code) == 35
    assert await alter(wire, SUBSCRIPTION, "all", metrics=None) == 0
    assert await listed(wire, 0) == []


async def test_they_are_described_with_their_defaults_and_sources(wire: Wire) -> None:
    await alter(wire, GROUP, "g", consumer_heartbeat_interval_ms="1000")
    assert await describe(wire, GROUP, "g") == {
        "consumer.session.timeout.ms": ("45000", 5),
        "consumer.heartbeat.interval.ms": ("1000", 8),
        "share.session.timeout.ms": ("45000", 5),
        "share.heartbeat.interval.ms": ("5000", 5),
        "share.record.lock.duration.ms": ("30000", 5),
        "share.auto.offset.reset": ("latest", 5),
        "share.isolation.level": ("read_uncommitted", 5),
    }
    await alter(wire, SUBSCRIPTION, "s", metrics="a,b", match="client_id=app.*")
    assert await describe(wire, SUBSCRIPTION, "s") == {
        "interval.ms": ("300000", 5),
        "match": ("client_id=app.*", 7),
        "metrics": ("a,b", 7),
    }


REFUSED: list[tuple[int, str, dict[str, str], int]] = [
    (SUBSCRIPTION, "s", {"match": "client_id=("}, INVALID_CONFIG),
    (SUBSCRIPTION, "s", {"match": "password=x"}, INVALID_CONFIG),
    (SUBSCRIPTION, "s", {"interval_ms": "99"}, INVALID_CONFIG),
    (SUBSCRIPTION, "s", {"interval": "1000"}, INVALID_CONFIG),
    (SUBSCRIPTION, "", {"metrics": "*"}, INVALID_REQUEST),
    (GROUP, "g", {"consumer_heartbeat_interval_ms": "45000"}, INVALID_CONFIG),
    (GROUP, "g", {"streams_session_timeout_ms": "45000"}, INVALID_CONFIG),
    (GROUP, "g", {"share_heartbeat_interval_ms": "45000"}, INVALID_CONFIG),
    (GROUP, "g", {"share_isolation_level": "serializable"}, INVALID_CONFIG),
    (GROUP, "g", {"share_auto_offset_reset": "none"}, INVALID_CONFIG),
    (GROUP, "g", {"share_auto_offset_reset": "by_duration:P"}, INVALID_CONFIG),
]


async def test_what_would_not_hold_is_refused(wire: Wire) -> None:
    assert [await alter(wire, kind, name, **values) for kind, name, values, _ in REFUSED] == [
        code for *_, code in REFUSED
    ]
    assert await listed(wire, 1, SUBSCRIPTION, GROUP) == []


async def test_a_groups_members_are_told_its_own_interval_and_others_the_brokers(wire: Wire) -> None:
    await create(wire, "t")
    await alter(wire, GROUP, "hasty", consumer_heartbeat_interval_ms="700")
    assert [await heartbeat_ms(wire, group) for group in ("hasty", "other")] == [700, 5000]


async def test_a_client_is_asked_for_what_the_subscriptions_say_that_fit_it(broker: Broker, wire: Wire) -> None:
    await wire.ask(18, 3, client_software_name="app-lib", client_software_version="1.2")
    first = await subscribe(wire)
    assert first.requested_metrics == ("org.apache.kafka.",)
    await alter(
        wire, SUBSCRIPTION, "a", metrics="org.apache.kafka.producer.", interval_ms="60000", match="client_id=te.*"
    )
    await alter(wire, SUBSCRIPTION, "b", metrics="org.apache.kafka.consumer.", interval_ms="1000")
    await alter(wire, SUBSCRIPTION, "c", metrics="*", match="client_software_name=app")
    instance = first.client_instance_id
    assert await push(wire, instance, otlp(producer_record_total=[1])) == UNKNOWN_SUBSCRIPTION
    asked = await subscribe(wire, instance)
    assert asked.requested_metrics == ("org.apache.kafka.consumer.", "org.apache.kafka.producer.")
    assert asked.push_interval == timedelta(seconds=1)
    assert await push(wire, instance, otlp(producer_record_total=[1]), subscription_id=asked.subscription_id) == 0
    await alter(wire, SUBSCRIPTION, "c", match="client_software_version=1\\.2,client_source_address=127.*")
    assert (await subscribe(wire, instance)).requested_metrics == ("",)
    for name in "abc":
        await alter(wire, SUBSCRIPTION, name, metrics=None, match=None, interval_ms=None)
    assert (await subscribe(wire, instance)).subscription_id == first.subscription_id
