"""Share groups (KIP-932) on the wire."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from broker.clock import SystemClock
from broker.errors import (
    FencedMemberEpoch,
    FencedStateEpoch,
    GroupIdNotFound,
    InvalidRecordState,
    InvalidRequest,
    InvalidShareSessionEpoch,
    NonEmptyGroup,
    ShareSessionNotFound,
    UnknownMemberId,
)
from broker.flags import parse
from broker.metadata import topics
from broker.node import Node
from broker.resource_configs import GROUP
from tests.broker.api.asking import batch, create, produce
from tests.broker.api.conftest import Broker, Wire
from tests.broker.api.test_consumer_groups import beat as consumer_beat
from tests.broker.api.test_groups import commit, find_coordinator
from tests.broker.quotas.test_quotas import alter
from tests.fuzz.batches import batch as any_batch
from tests.fuzz.batches import record

ACCEPT, RELEASE, REJECT, RENEW = 1, 2, 3, 4


async def beat(wire: Wire, member: str, epoch: int, **changes: Any) -> Any:
    """A heartbeat; a first one says what the member reads."""
    said = {"group_id": "g", "member_id": member, "member_epoch": epoch, "rack_id": None}
    return await wire.ask(76, 1, **{**said, "subscribed_topic_names": None if epoch else ("t",), **changes})


async def configure(wire: Wire, **configs: str) -> None:
    """Of the group: share_auto_offset_reset="earliest" and the like."""
    asked = [{"name": name.replace("_", "."), "config_operation": 0, "value": value} for name, value in configs.items()]
    resource = {"resource_type": 32, "resource_name": "g", "configs": asked}
    found = await wire.ask(44, 1, resources=[resource], validate_only=False)
    assert int(found.responses[0].error_code) == 0, found


class Member:
    """One that has joined, with a connection and a share session of its own."""

    def __init__(self, wire: Wire, name: str, topic: UUID) -> None:
        self.wire, self.name, self.topic, self.epoch = wire, name, topic, 0

    async def fetch(self, *said: tuple[int, int, int], version: int = 2, **changes: Any) -> Any:
        """The whole answer. `said`: first offset, last offset, what became of them."""
        part = {"partition_index": 0, "acknowledgement_batches": batches(said)}
        values = {
            "group_id": "g", "member_id": self.name, "share_session_epoch": self.epoch,
            "max_wait": timedelta(milliseconds=50), "min_bytes": 1, "max_bytes": 1 << 20, "max_records": 500,
            "batch_size": 500, "share_acquire_mode": 0, "is_renew_ack": any(kind == RENEW for *_, kind in said),
            "topics": [{"topic_id": self.topic, "partitions": [part]}], "forgotten_topics_data": (), **changes,
        }  # fmt: skip
        found = await self.wire.ask(78, version, **values)
        self.epoch += not int(found.error_code)
        return found

    async def given(self, *said: tuple[int, int, int], **changes: Any) -> list[tuple[int, int, int]]:
        """What the member was given: first offset, last offset, how often."""
        found = await self.fetch(*said, **changes)
        assert int(found.error_code) == 0, found
        parts = [part for topic in found.responses for part in topic.partitions]
        assert not any(int(part.error_code) or part.acknowledge_error_code for part in parts), found
        return [(r.first_offset, r.last_offset, r.delivery_count) for part in parts for r in part.acquired_records]

    async def say(self, *said: tuple[int, int, int], version: int = 2, epoch: int | None = None) -> int:
        """ShareAcknowledge: the error of the request, or of its partition."""
        part = {"partition_index": 0, "acknowledgement_batches": batches(said)}
        found = await self.wire.ask(
            79, version, group_id="g", member_id=self.name, is_renew_ack=any(kind == RENEW for *_, kind in said),
            share_session_epoch=self.epoch if epoch is None else epoch,
            topics=[{"topic_id": self.topic, "partitions": [part]}],
        )  # fmt: skip
        self.epoch += not int(found.error_code)
        return int(found.error_code) or int(found.responses[0].partitions[0].error_code)


def batches(said: tuple[tuple[int, int, int], ...]) -> list[dict[str, Any]]:
    return [{"first_offset": first, "last_offset": last, "acknowledge_types": (kind,)} for first, last, kind in said]


async def members(broker: Broker, *names: str, records: int = 3) -> list[Member]:
    """Members of a group that begins with the earliest, and a topic with records."""
    wire = await broker.connect()
    await find_coordinator(wire)
    topic = (await create(wire, "t")).topic_id
    await configure(wire, share_auto_offset_reset="earliest")
    for number in range(records):
        assert int((await produce(wire, "t", batch(b"%d" % number))).error_code) == 0
    found = []
    for name in names:
        found.append(Member(await broker.connect(), name, topic))
        assert int((await beat(found[-1].wire, name, 0)).error_code) == 0
    return found


async def test_members_join_share_a_partition_and_leave(wire: Wire) -> None:
    await find_coordinator(wire)
    topic = (await create(wire, "t")).topic_id
    first, second = await beat(wire, "a", 0), await beat(wire, "b", 0)
    for told in (first, second):
        assert [(each.topic_id, each.partitions) for each in told.assignment.topic_partitions] == [(topic, (0,))]
    assert (await beat(wire, "b", second.member_epoch)).assignment is None
    assert int((await beat(wire, "b", 9)).error_code) == FencedMemberEpoch.code
    assert int((await beat(wire, "c", 1)).error_code) == UnknownMemberId.code
    assert int((await beat(wire, "", 0)).error_code) == InvalidRequest.code
    shown = (await wire.ask(77, 1, group_ids=["g", "h"], include_authorized_operations=True)).groups
    assert (shown[0].group_state, shown[0].assignor_name, len(shown[0].members)) == ("Stable", "simple", 2)
    assert shown[0].members[0].assignment.topic_partitions[0].topic_name == "t"
    assert int(shown[1].error_code) == GroupIdNotFound.code
    listed = await wire.ask(16, 5, states_filter=[], types_filter=["share"])
    assert [(each.group_id, each.group_type, each.protocol_type) for each in listed.groups] == [("g", "share", "share")]
    classic = await wire.ask(15, 6, groups=["g"], include_authorized_operations=False)
    assert int(classic.groups[0].error_code) == GroupIdNotFound.code
    assert int((await wire.ask(42, 2, groups_names=["g"])).results[0].error_code) == NonEmptyGroup.code
    for name in "ab":
        assert (await beat(wire, name, -1)).member_epoch == -1
    assert int((await wire.ask(42, 2, groups_names=["g"])).results[0].error_code) == 0


async def test_a_fetch_that_asks_for_much_reads_a_mebibyte_of_a_partition(broker: Broker) -> None:
    (member,) = await members(broker, "a", records=0)
    for _ in range(4):
        large = any_batch(records=record(bytes(400_000)))
        assert int((await produce(member.wire, "t", large)).error_code) == 0
    assert await member.given(max_bytes=50 << 20) == [(0, 1, 1)]
    assert await member.given(max_bytes=50 << 20) == [(2, 3, 1)]


async def test_a_name_is_one_kind_of_group_only(wire: Wire) -> None:
    await find_coordinator(wire)
    await create(wire, "t")
    assert int((await beat(wire, "a", 0)).error_code) == 0
    await beat(wire, "a", -1)
    assert int((await consumer_beat(wire, "m", 0)).error_code) == GroupIdNotFound.code
    assert await commit(wire, "t", 9) == GroupIdNotFound.code
    assert await commit(wire, "t", 9, group_id="classic") == 0
    assert int((await beat(wire, "a", 0, group_id="classic")).error_code) == GroupIdNotFound.code


async def test_each_record_is_with_one_member_and_done_when_accepted(broker: Broker) -> None:
    a, b = await members(broker, "a", "b")
    assert await a.given(max_records=2, version=1) == [(0, 1, 1)]
    assert await b.given() == [(2, 2, 1)]
    assert await a.given((0, 1, ACCEPT)) == []
    assert await b.say((2, 2, ACCEPT), version=1) == 0
    assert await a.say((0, 0, ACCEPT)) == 0, "what is done is nobody's business any more"
    await produce(b.wire, "t", batch(b"new"))
    assert await b.given() == [(3, 3, 1)]


async def test_what_is_released_comes_back_and_what_is_rejected_does_not(broker: Broker) -> None:
    a, b = await members(broker, "a", "b")
    found = await a.fetch()
    assert found.acquisition_lock_timeout == timedelta(seconds=30)
    assert found.responses[0].partitions[0].records.count(b"\x00") > 0
    assert await a.say((0, 0, RELEASE), (1, 1, REJECT), (2, 2, 0)) == 0
    assert await b.given() == [(0, 0, 2)]
    for count in (3, 4, 5):
        assert await b.given((0, 0, RELEASE)) == [(0, 0, count)]
    assert await b.given((0, 0, RELEASE)) == []


async def test_words_hold_all_or_not_at_all(broker: Broker) -> None:
    a, b = await members(broker, "a", "b")
    assert await a.given(max_records=2, share_acquire_mode=1) == [(0, 1, 1)]
    assert await b.given() == [(2, 2, 1)]
    assert await a.say((0, 2, ACCEPT)) == InvalidRecordState.code
    assert await a.say((1, 1, ACCEPT), (0, 0, ACCEPT)) == InvalidRequest.code
    assert await a.say((0, 1, 7)) == InvalidRequest.code
    assert await a.say((0, 2**62, ACCEPT)) == InvalidRecordState.code
    assert await a.say((0, 1, ACCEPT)) == 0


async def test_a_lock_lapses_and_is_renewed(broker: Broker) -> None:
    a, b = await members(broker, "a", "b", records=2)
    assert await a.given() == [(0, 1, 1)]
    assert await a.given((0, 0, RENEW)) == []
    assert await a.say((0, 0, RENEW)) == 0
    await configure(a.wire, share_record_lock_duration_ms="1000")
    assert await a.given((0, 1, RELEASE)) == [(0, 1, 2)]
    assert await b.given(max_wait=timedelta(seconds=8)) == [(0, 1, 3)]
    assert await a.say((1, 1, ACCEPT)) == InvalidRecordState.code


async def test_who_waits_is_woken_by_a_record_that_comes_back_and_by_a_new_one(broker: Broker) -> None:
    a, b = await members(broker, "a", "b", records=1)
    await a.given()
    waiting = asyncio.create_task(b.given(max_wait=timedelta(seconds=8)))
    await asyncio.sleep(0.05)
    await a.say((0, 0, RELEASE))
    assert await waiting == [(0, 0, 2)]
    waiting = asyncio.create_task(a.given(max_wait=timedelta(seconds=8)))
    await asyncio.sleep(0.05)
    await produce(b.wire, "t", batch())
    assert await waiting == [(1, 1, 1)]


async def test_a_group_begins_where_its_configs_say_though_another_broker_has_just_set_them(broker: Broker) -> None:
    wire = await broker.connect()
    await find_coordinator(wire)
    a = Member(wire, "a", (await create(wire, "t")).topic_id)
    await produce(wire, "t", batch())
    assert int((await beat(wire, "a", 0)).error_code) == 0
    earliest, metadata = {"share.auto.offset.reset": "earliest"}, broker.node._metadata
    async with metadata._refreshing:  # its own image is of before
        await metadata.write(lambda tx: topics.alter_configs(tx, GROUP, "g", earliest, ()))
        asked = asyncio.create_task(a.given())
        await asyncio.wait((asked,), timeout=0.3)
    assert await asked == [(0, 0, 1)]


async def test_a_session_has_epochs_and_its_end_gives_everything_back(broker: Broker) -> None:
    a, b = await members(broker, "a", "b", records=1)
    assert await a.say((0, 0, ACCEPT), epoch=0) == InvalidShareSessionEpoch.code
    assert await a.say((0, 0, ACCEPT), epoch=1) == ShareSessionNotFound.code
    assert int((await a.fetch((0, 0, ACCEPT))).error_code) == InvalidRequest.code
    assert await a.given() == [(0, 0, 1)]
    assert int((await a.fetch(share_session_epoch=7)).error_code) == InvalidShareSessionEpoch.code
    assert await a.say(epoch=-1) == 0
    assert await b.given() == [(0, 0, 2)]
    b.epoch = 0
    assert await b.given() == [(0, 0, 3)]
    b.wire.writer.close()
    a.epoch = 0
    assert await a.given(max_wait=timedelta(seconds=8)) == [(0, 0, 4)]


async def test_what_a_member_is_given_counts_for_its_fetch_quota(broker: Broker) -> None:
    (a,) = await members(broker, "a", records=5)
    assert await alter(a.wire, {"client_id": "test"}, consumer_byte_rate=60) == 0
    found = await a.fetch()
    assert len(found.responses[0].partitions[0].records) > 60
    assert 0.2 < found.throttle_time.total_seconds() < 30
    assert broker.node._counters.client_throttles["test", "consumer_byte_rate"] > 0.2


async def test_who_is_in_no_share_group_is_given_nothing(broker: Broker) -> None:
    (a,) = await members(broker, "a")
    stranger = Member(a.wire, "a", a.topic)
    found = await stranger.fetch(group_id="other")
    assert int(found.responses[0].partitions[0].error_code) == GroupIdNotFound.code


async def test_an_empty_group_is_given_other_starts_and_forgets_topics(broker: Broker) -> None:
    (a,) = await members(broker, "a")
    assert await a.given() == [(0, 2, 1)]
    assert await a.say((0, 0, ACCEPT), (2, 2, ACCEPT)) == 0
    assert await starts(a.wire) == [(1, 1)]
    part = {"partition_index": 0, "start_offset": 2}
    asked = {"group_id": "g", "topics": [{"topic_name": "t", "partitions": [part]}]}
    assert int((await a.wire.ask(91, 0, **asked)).error_code) == NonEmptyGroup.code
    await beat(a.wire, "a", -1)
    assert int((await a.wire.ask(91, 0, **asked)).responses[0].partitions[0].error_code) == 0
    assert await starts(a.wire) == [(2, 1)]
    assert await a.say((1, 1, ACCEPT)) == FencedStateEpoch.code
    await beat(a.wire, "a", 0)
    a.epoch = 0
    assert await a.given() == [(2, 2, 1)]
    await beat(a.wire, "a", -1)
    forgotten = await a.wire.ask(92, 0, group_id="g", topics=[{"topic_name": "t"}])
    assert (int(forgotten.error_code), int(forgotten.responses[0].error_code)) == (0, 0)
    assert await starts(a.wire) == [(-1, -1)]
    a.epoch = 0
    assert await a.given() == [(0, 2, 1)]


async def starts(wire: Wire) -> list[tuple[int, int]]:
    """Start and lag of the group in its partition."""
    asked = [{"group_id": "g", "topics": [{"topic_name": "t", "partitions": [0]}]}]
    (group,) = (await wire.ask(90, 1, groups=asked)).groups
    assert int(group.error_code) == 0
    return [(part.start_offset, part.lag) for topic in group.topics for part in topic.partitions]


async def test_what_the_log_has_no_more_is_passed_over(broker: Broker) -> None:
    (a,) = await members(broker, "a", records=4)
    assert await a.given(max_records=2) == [(0, 1, 1)]
    cut = [{"name": "t", "partitions": [{"partition_index": 0, "offset": 3}]}]
    await a.wire.ask(21, 2, topics=cut, timeout=timedelta(seconds=5))
    assert await a.given((0, 1, ACCEPT)) == [(3, 3, 1)]


async def test_what_was_said_holds_after_a_restart_and_what_was_out_comes_back(tmp_path: Path) -> None:
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    node = Node(parse(flags), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    a, b = await members(broker, "a", "b", records=5)
    assert await a.given(max_records=4) == [(0, 3, 1)]
    assert await a.say((1, 1, ACCEPT), (2, 2, REJECT), (3, 3, RELEASE)) == 0
    assert await b.given() == [(3, 3, 2), (4, 4, 1)]
    await broker.hang_up()
    await node.stop()
    node = Node(parse(flags), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    again = Member(await broker.connect(), "b", b.topic)
    given: list[tuple[int, int, int]] = []
    async with asyncio.timeout(30):
        while not given:
            given, again.epoch = await again.given(), 0
    assert [(first, last) for first, last, _ in given] == [(0, 0), (3, 3), (4, 4)]
    assert int((await beat(again.wire, "b", 2)).error_code) in (0, FencedMemberEpoch.code)
    await broker.hang_up()
    await node.stop()
