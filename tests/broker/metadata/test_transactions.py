"""Transactional ids and the offsets that wait for their outcome, on both stores."""

from __future__ import annotations

from uuid import UUID

from broker.metadata import Metadata, OffsetRow, groups
from broker.metadata import transactions as table
from broker.metadata.rows import TransactionRow

TOPIC = UUID(int=7)
ROW = TransactionRow(
    transactional_id="x", coordinator_uid=5, state="Ongoing", producer_id=1000, epoch=0, timeout_ms=10, started_ms=1,
    updated_ms=1,
)  # fmt: skip
OFFSET = OffsetRow(offset=42, leader_epoch=0, metadata="", committed_at_ms=0)


async def test_offsets_are_the_groups_with_the_commit_and_gone_with_the_abort(metadata: Metadata) -> None:
    for name, commit in (("x", False), ("y", True)):
        await metadata.write(lambda tx, name=name: table.add_offsets(tx, name, "g", {(TOPIC, 0): OFFSET}))
        await metadata.write(lambda tx, name=name: table.add_offsets(tx, name, "g", {(TOPIC, 0): OFFSET}))
        assert await metadata.read(lambda tx: table.unstable(tx, "g")) == {(TOPIC, 0)}
        await metadata.write(lambda tx, name=name, commit=commit: table.settle_offsets(tx, name, commit=commit))
        assert await metadata.read(lambda tx: table.unstable(tx, "g")) == set()
        kept = await metadata.read(lambda tx: groups.fetch_offsets(tx, "g"))
        assert kept == ({(TOPIC, 0): OFFSET} if commit else {})


async def test_rows_are_found_by_state_by_age_and_by_coordinator(metadata: Metadata) -> None:
    await metadata.write(lambda tx: table.save(tx, ROW))
    await metadata.write(lambda tx: table.save(tx, ROW))
    for _ in range(2):
        await metadata.write(lambda tx: table.add_places(tx, "x", [(TOPIC, 1), (TOPIC, 0)]))
    assert await metadata.read(lambda tx: table.load(tx, "x")) == ROW
    assert await metadata.read(lambda tx: table.places(tx, "x")) == [(TOPIC, 0), (TOPIC, 1)]
    assert await metadata.read(lambda tx: table.of_coordinators(tx, [5, 6])) == [ROW]
    assert await metadata.read(lambda tx: table.in_states(tx, [5], ["Ongoing", "Empty"])) == [ROW]
    assert await metadata.read(lambda tx: table.overdue(tx, [5], 12)) == [ROW]
    assert await metadata.read(lambda tx: table.overdue(tx, [5], 11)) == []
    await metadata.write(lambda tx: table.clear_places(tx, "x"))
    await metadata.write(lambda tx: table.expire(tx, [5], ["Ongoing"], 1))
    assert await metadata.read(lambda tx: table.load(tx, "x")) == ROW
    await metadata.write(lambda tx: table.expire(tx, [5], ["Ongoing"], 2))
    assert await metadata.read(lambda tx: table.load(tx, "x")) is None
    first = await metadata.write(table.new_producer_id)
    assert await metadata.write(table.new_producer_id) == first + 1
