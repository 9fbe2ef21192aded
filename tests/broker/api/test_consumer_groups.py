"""Groups of the new protocol (KIP-848) on the wire, beside classic ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from broker.errors import (
    FencedMemberEpoch,
    GroupIdNotFound,
    InconsistentGroupProtocol,
    InvalidRegularExpression,
    InvalidRequest,
    StaleMemberEpoch,
    UnknownMemberId,
    UnsupportedAssignor,
)
from tests.broker.api.asking import create
from tests.broker.api.conftest import Wire
from tests.broker.api.test_groups import commit, find_coordinator, join, joined

MINUTE = timedelta(seconds=60)


async def beat(wire: Wire, member: str, epoch: int, version: int = 1, **changes: Any) -> Any:
    """A heartbeat; a first one says everything."""
    first = {"rebalance_timeout": MINUTE, "subscribed_topic_names": ("t",), "topic_partitions": ()}
    later = {"rebalance_timeout": timedelta(milliseconds=-1), "topic_partitions": None}
    said = {"group_id": "g", "member_id": member, "member_epoch": epoch, **(later if epoch else first), **changes}
    return await wire.ask(68, version, **said)


async def describe(wire: Wire, version: int = 1) -> Any:
    return (await wire.ask(69, version, group_ids=["g"], include_authorized_operations=True)).groups[0]


async def test_a_group_lives_on_the_wire(wire: Wire) -> None:
    await find_coordinator(wire)
    created = await create(wire, "t", partitions=3)
    member = await beat(wire, "m", 0)
    (share,) = member.assignment.topic_partitions
    assert (int(member.error_code), member.member_epoch, share.topic_id) == (0, 1, created.topic_id)
    assert share.partitions == (0, 1, 2)
    again = await beat(wire, "m", 1)
    assert (int(again.error_code), again.assignment) == (0, None)
    for version in (0, 1):
        shown = await describe(wire, version)
        assert (shown.group_state, shown.group_epoch, shown.assignor_name) == ("Stable", 1, "uniform")
        assert shown.members[0].assignment.topic_partitions[0].topic_name == "t"
    listed = await wire.ask(16, 5, states_filter=["stable"], types_filter=["CONSUMER"])
    assert [(each.group_id, each.group_type) for each in listed.groups] == [("g", "consumer")]
    classic = await wire.ask(15, 6, groups=["g"], include_authorized_operations=False)
    assert int(classic.groups[0].error_code) == GroupIdNotFound.code
    assert (await beat(wire, "m", -1)).member_epoch == -1
    assert (await describe(wire)).group_state == "Empty"
    assert int((await wire.ask(42, 2, groups_names=["g"])).results[0].error_code) == 0
    assert int((await describe(wire)).error_code) == GroupIdNotFound.code


async def test_an_older_client_is_given_its_id(wire: Wire) -> None:
    await find_coordinator(wire)
    await create(wire, "t")
    member = await beat(wire, "", 0, 0)
    assert (len(member.member_id), member.member_epoch) == (36, 1)


async def test_what_cannot_be_is_refused(wire: Wire) -> None:
    await find_coordinator(wire)
    for code, member, epoch, changes in (
        (InvalidRequest.code, "", 0, {}),
        (InvalidRequest.code, "m", -3, {}),
        (InvalidRequest.code, "m", -2, {}),
        (InvalidRequest.code, "m", 0, {"rebalance_timeout": timedelta(milliseconds=-1)}),
        (InvalidRequest.code, "m", 0, {"subscribed_topic_names": None}),
        (InvalidRequest.code, "m", 0, {"group_id": ""}),
        (UnsupportedAssignor.code, "m", 0, {"server_assignor": "magic"}),
        (InvalidRegularExpression.code, "m", 0, {"subscribed_topic_regex": "("}),
        (UnknownMemberId.code, "m", 1, {}),
    ):
        assert int((await beat(wire, member, epoch, **changes)).error_code) == code
    await beat(wire, "m", 0)
    assert int((await beat(wire, "m", 7)).error_code) == FencedMemberEpoch.code
    assert int((await beat(wire, "stranger", 1)).error_code) == UnknownMemberId.code


async def test_offsets_belong_to_the_current_epoch(wire: Wire) -> None:
    await find_coordinator(wire)
    await create(wire, "t")
    await beat(wire, "m", 0)
    assert await commit(wire, "t", 9, member_id="m", generation_id_or_member_epoch=1) == 0
    assert await commit(wire, "t", 9, member_id="m", generation_id_or_member_epoch=0) == StaleMemberEpoch.code
    assert await commit(wire, "t", 9) == UnknownMemberId.code
    asked = {"group_id": "g", "topics": [{"name": "t", "partition_indexes": [0]}]}
    for who, code in (
        ({"member_id": "m", "member_epoch": 1}, 0),
        ({"member_id": "m", "member_epoch": 5}, StaleMemberEpoch.code),
        ({"member_id": "x", "member_epoch": 1}, UnknownMemberId.code),
        ({"member_id": None, "member_epoch": -1}, 0),
    ):
        found = await wire.ask(9, 9, groups=[{**asked, **who}], require_stable=True)
        assert int(found.groups[0].error_code) == code


async def test_a_group_changes_its_protocol_while_it_is_empty(wire: Wire) -> None:
    await find_coordinator(wire)
    await create(wire, "t")
    member = await joined(wire)
    assert await commit(wire, "t", 9, member_id=member.member_id, generation_id_or_member_epoch=1) == 0
    assert int((await beat(wire, "m", 0)).error_code) == GroupIdNotFound.code
    await wire.ask(13, 5, group_id="g", members=[{"member_id": member.member_id}])
    assert int((await beat(wire, "m", 0)).error_code) == 0
    assert int((await join(wire, 0)).error_code) == InconsistentGroupProtocol.code
    heart = {"group_id": "g", "generation_id": 1, "member_id": "m"}
    assert int((await wire.ask(12, 4, **heart)).error_code) == UnknownMemberId.code
    left = await wire.ask(13, 5, group_id="g", members=[{"member_id": "m"}])
    assert int(left.members[0].error_code) == 0
    assert int((await join(wire, 0)).error_code) == 0
    kept = await wire.ask(9, 8, groups=[{"group_id": "g", "topics": None}], require_stable=True)
    assert kept.groups[0].topics[0].partitions[0].committed_offset == 5
