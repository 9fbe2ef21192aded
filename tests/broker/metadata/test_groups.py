"""Members of a group in rows of their own: a step writes those that changed, and a whole write leaves no others."""

from __future__ import annotations

from broker.metadata import CONSUMER_OFFSETS, Metadata
from broker.metadata import groups as sql
from broker.metadata.rows import Coordinator, GroupRow


async def home(metadata: Metadata) -> Coordinator:
    await metadata.create_topic(CONSUMER_OFFSETS, partitions=1)
    found = metadata.image.topics[CONSUMER_OFFSETS].partitions[0]
    return Coordinator(uid=found.uid, owner=found.owner, epoch=found.epoch)


async def members(metadata: Metadata, coordinator: Coordinator) -> dict[str, dict[str, str | None]]:
    return {row.group_id: dict(row.members) for row in await metadata.groups(coordinator.uid)}


def row(coordinator: Coordinator, members: dict[str, str | None], *, is_whole: bool, group: str = "g") -> GroupRow:
    return GroupRow(group_id=group, coordinator_uid=coordinator.uid, state="{}", members=members, is_whole=is_whole)


async def test_a_step_writes_its_members_and_leaves_the_others(metadata: Metadata) -> None:
    at = await home(metadata)
    await metadata.save_group(row(at, {"a": "1", "b": "1"}, is_whole=True), coordinator=at)
    await metadata.save_group(row(at, {"x": "1"}, is_whole=True, group="other"), coordinator=at)
    await metadata.save_group(row(at, {"b": "2", "c": "1"}, is_whole=False), coordinator=at)
    await metadata.save_group(row(at, {"a": None}, is_whole=False), coordinator=at)
    assert await members(metadata, at) == {"g": {"b": "2", "c": "1"}, "other": {"x": "1"}}
    await metadata.save_group(row(at, {"d": "1"}, is_whole=True), coordinator=at)
    assert await members(metadata, at) == {"g": {"d": "1"}, "other": {"x": "1"}}


async def test_a_group_that_goes_takes_its_members_with_it(metadata: Metadata) -> None:
    at = await home(metadata)
    for group in ("g", "h"):
        await metadata.save_group(row(at, {"a": "1"}, is_whole=True, group=group), coordinator=at)
    await metadata.delete_group("g", coordinator=at)
    await metadata.write(lambda tx: sql.expire(tx, "h", 1, (), True, at))
    assert await members(metadata, at) == {}
    assert await metadata.read(lambda tx: tx.all("SELECT member_id FROM group_members")) == []


async def test_rows_that_the_release_before_left_behind_do_not_come_back(metadata: Metadata) -> None:
    at = await home(metadata)
    await metadata.save_group(row(at, {"a": "1"}, is_whole=True), coordinator=at)
    await metadata.write(lambda tx: tx.run("DELETE FROM groups WHERE group_id = ?", "g"))
    await metadata.save_group(row(at, {"b": "1"}, is_whole=True), coordinator=at)
    assert await members(metadata, at) == {"g": {"b": "1"}}
