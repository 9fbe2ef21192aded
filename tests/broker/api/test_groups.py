"""The group APIs as clients speak them: every version of each, and a group's whole life on the wire."""

import uuid
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from kio.index import load_request_schema

from broker.api.registry import find
from broker.errors import (
    GroupIdNotFound,
    IllegalGeneration,
    InvalidGroupId,
    InvalidRequest,
    MemberIdRequired,
    OffsetMetadataTooLarge,
    UnknownMemberId,
    UnknownTopicId,
    UnknownTopicOrPartition,
)
from tests.broker.api.asking import create
from tests.broker.api.conftest import Wire

GROUP_KEYS = (8, 9, 10, 11, 12, 13, 14, 15, 16, 42)
SESSION = timedelta(seconds=10)


async def find_coordinator(wire: Wire) -> None:
    found = await wire.ask(10, 4, key_type=0, coordinator_keys=["g"])
    assert int(found.coordinators[0].error_code) == 0


async def join(wire: Wire, version: int = 9, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "group_id": "g",
        "session_timeout": SESSION,
        "rebalance_timeout": SESSION,
        "member_id": "",
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b"topics"}],
    }
    return await wire.ask(11, version, **{**values, **changes})


async def joined(wire: Wire) -> Any:
    """A member alone in its group, with its share."""
    await find_coordinator(wire)
    asked = await join(wire)
    assert int(asked.error_code) == MemberIdRequired.code
    member = await join(wire, member_id=asked.member_id)
    assert int(member.error_code) == 0
    synced = await sync(wire, member)
    assert (int(synced.error_code), synced.assignment) == (0, b"all")
    return member


async def sync(wire: Wire, member: Any, version: int = 5) -> Any:
    shares = [{"member_id": member.member_id, "assignment": b"all"}]
    return await wire.ask(
        14,
        version,
        group_id="g",
        generation_id=member.generation_id,
        member_id=member.member_id,
        protocol_type="consumer",
        protocol_name="range",
        assignments=shares,
    )


async def commit(wire: Wire, topic: Any, version: int, offset: int = 5, said: str | None = "", **who: Any) -> int:
    part = {"partition_index": 0, "committed_offset": offset, "committed_metadata": said}
    name = "topic_id" if version >= 10 else "name"
    found = await wire.ask(
        8,
        version,
        **{"group_id": "g", "generation_id_or_member_epoch": -1, "member_id": "", **who},
        topics=[{name: topic, "partitions": [part]}],
    )
    return int(found.topics[0].partitions[0].error_code)


@pytest.mark.parametrize("key", GROUP_KEYS)
async def test_every_version_answers_about_a_group_that_does_not_exist(wire: Wire, key: int) -> None:
    values: dict[str, Any] = {
        "group_id": "nobody",
        "key": "nobody",
        "key_type": 0,
        "coordinator_keys": ["nobody"],
        "member_id": "m",
        "generation_id": 1,
        "generation_id_or_member_epoch": 1,
        "session_timeout": SESSION,
        "rebalance_timeout": SESSION,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b""}],
        "assignments": [],
        "topics": [],
        "members": [{"member_id": "m"}],
        "groups": [{"group_id": "nobody", "topics": None}] if key == 9 else ["nobody"],
        "include_authorized_operations": True,
        "groups_names": ["nobody"],
    }
    api = find(key)
    assert api is not None
    for version in range(api.low, api.high + 1):
        known = {field.name for field in fields(load_request_schema(key, version))}
        await wire.ask(key, version, **{name: value for name, value in values.items() if name in known})


async def test_a_group_lives_on_the_wire(wire: Wire) -> None:
    member = await joined(wire)
    beat = {"group_id": "g", "generation_id": member.generation_id, "member_id": member.member_id}
    assert int((await wire.ask(12, 4, **beat)).error_code) == 0
    assert int((await wire.ask(12, 4, **{**beat, "generation_id": 9})).error_code) == IllegalGeneration.code
    described = (await wire.ask(15, 6, groups=["g"], include_authorized_operations=True)).groups[0]
    assert (described.group_state, described.protocol_data) == ("Stable", "range")
    assert described.members[0].member_assignment == b"all"
    assert described.members[0].client_host == "/127.0.0.1"
    left = await wire.ask(13, 5, group_id="g", members=[{"member_id": member.member_id}, {"member_id": "x"}])
    assert [int(each.error_code) for each in left.members] == [0, UnknownMemberId.code]
    listed = await wire.ask(16, 5, states_filter=["empty"], types_filter=["Classic"])
    assert [(each.group_id, each.group_state) for each in listed.groups] == [("g", "Empty")]
    assert (await wire.ask(16, 5, states_filter=["Stable"], types_filter=[])).groups == ()
    assert (await wire.ask(16, 5, states_filter=[], types_filter=["share"])).groups == ()
    assert int((await wire.ask(42, 2, groups_names=["g"])).results[0].error_code) == 0
    gone = (await wire.ask(15, 6, groups=["g"], include_authorized_operations=False)).groups[0]
    assert (int(gone.error_code), gone.group_state) == (GroupIdNotFound.code, "Dead")


async def test_an_old_client_joins_without_asking_for_an_id(wire: Wire) -> None:
    await find_coordinator(wire)
    member = await join(wire, 0)
    assert (int(member.error_code), member.generation_id, member.leader) == (0, 1, member.member_id)
    assert (await sync(wire, member, 0)).assignment == b"all"


async def test_offsets_are_found_by_name_by_id_and_all_at_once(wire: Wire) -> None:
    await find_coordinator(wire)
    created = await create(wire, "t")
    assert await commit(wire, "t", 9, offset=5, said=None) == 0
    assert await commit(wire, created.topic_id, 10, offset=6, said="note") == 0
    old = await wire.ask(9, 1, group_id="g", topics=[{"name": "t", "partition_indexes": [0]}])
    assert old.topics[0].partitions[0].committed_offset == 6
    asked = [{"topic_id": created.topic_id, "partition_indexes": [0, 7]}]
    new = await wire.ask(9, 10, groups=[{"group_id": "g", "topics": asked}], require_stable=True)
    assert [(part.committed_offset, part.metadata) for part in new.groups[0].topics[0].partitions] == [
        (6, "note"),
        (-1, ""),
    ]
    everything = await wire.ask(9, 8, groups=[{"group_id": "g", "topics": None}, {"group_id": "", "topics": None}])
    assert everything.groups[0].topics[0].name == "t"
    assert int(everything.groups[1].error_code) == InvalidGroupId.code


async def test_offsets_that_cannot_be_committed_are_refused_one_by_one(wire: Wire) -> None:
    await find_coordinator(wire)
    await create(wire, "t")
    assert await commit(wire, "missing", 9) == UnknownTopicOrPartition.code
    assert await commit(wire, uuid.UUID(int=7), 10) == UnknownTopicId.code
    assert await commit(wire, "t", 9, said="x" * 5000) == OffsetMetadataTooLarge.code
    assert await commit(wire, "t", 9, member_id="m", generation_id_or_member_epoch=1) == UnknownMemberId.code


async def test_the_coordinator_of_a_share_group_is_refused(wire: Wire) -> None:
    found = await wire.ask(10, 4, key_type=2, coordinator_keys=["t"])
    assert int(found.coordinators[0].error_code) == InvalidRequest.code
