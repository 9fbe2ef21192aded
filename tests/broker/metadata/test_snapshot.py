"""A copy of every table goes into bytes and comes back, on both kinds of store and across them."""

import os
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.errors import KafkaStorageError
from broker.metadata import Metadata, commits, members, revival, snapshot
from broker.metadata.groups import OffsetRow
from broker.metadata.rows import Coordinator, Extent
from broker.metadata.schema import MIGRATIONS


async def lived(metadata: Metadata) -> None:
    """A little history: a topic with records, a config with odd letters, a committed offset."""
    topic = await metadata.create_topic("t", partitions=3, configs={"retention.ms": "1000"})
    await metadata.alter_configs("broker", "", {"note": "päron\n'?'"})
    one = topic.partitions[0]
    epoch = metadata.image.brokers[one.owner].epoch
    object_id = await metadata.write(lambda tx: commits.prepare(tx, one.owner, 5))
    extent = Extent(uid=one.uid, epoch=0, start=0, end=7, size_bytes=70, max_timestamp_ms=9, producers=b"\x00\xff")
    assert await metadata.write(lambda tx: commits.commit(tx, object_id, 80, [extent], (one.owner, epoch), 6)) == set()
    row = OffsetRow(offset=5, leader_epoch=0, metadata="m", committed_at_ms=3)
    await metadata.commit_offsets("g", {(topic.id, 0): row}, Coordinator(uid=one.uid, owner=one.owner, epoch=0))


async def rows(metadata: Metadata) -> dict[str, list[Any]]:
    """Everything that a copy should hold."""

    def work(tx: Any) -> dict[str, list[Any]]:
        found = {}
        for name, table in snapshot.tables().items():
            columns = ", ".join(f'"{column}"' for column in table.columns)
            found[name] = sorted(map(tuple, tx.all(f"SELECT {columns} FROM {name}")))
        return found

    return await metadata.read(work)


async def another(tmp_path: Path) -> Metadata:
    return await Metadata.open(f"sqlite://{tmp_path}/restored.db", clock=SystemClock(), entropy=os.urandom)


async def test_every_row_comes_back(metadata: Metadata, tmp_path: Path) -> None:
    await lived(metadata)
    data = await metadata.read_apart(lambda tx: snapshot.dump(tx, 17))
    restored = await another(tmp_path)
    try:
        header = await restored.change(lambda tx: snapshot.load(tx, data))
        assert await rows(restored) == await rows(metadata)
        assert (header.at_ms, header.cluster, header.newest_object) == (17, metadata.image.cluster_id, 1)
        image = await restored.refresh()
        assert image.topics["t"].configs == {"retention.ms": "1000"}
    finally:
        await restored.close()


async def test_a_copy_goes_into_the_other_kind_of_store(metadata: Metadata, open_metadata: Any, tmp_path: Path) -> None:
    await lived(metadata)
    data = await metadata.read(lambda tx: snapshot.dump(tx, 17))
    before = await rows(metadata)
    await metadata.write(lambda tx: snapshot.load(tx, data))
    assert await rows(metadata) == before


async def test_more_rows_than_a_page_come_back(metadata: Metadata, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(snapshot, "ROWS_AT_ONCE", 2)
    await lived(metadata)
    await metadata.create_topic("u", partitions=7)
    data = await metadata.read(lambda tx: snapshot.dump(tx, 17))
    restored = await another(tmp_path)
    try:
        await restored.write(lambda tx: snapshot.load(tx, data))
        assert await rows(restored) == await rows(metadata)
    finally:
        await restored.close()


async def test_any_changed_or_missing_byte_is_noticed(metadata: Metadata) -> None:
    data = await metadata.read(lambda tx: snapshot.dump(tx, 0))
    for damaged in (b"", data[:5], data[:-1], data[:20] + b"\x00" + data[21:], b"x" + data[1:]):
        with pytest.raises(snapshot.DamagedSnapshot):
            snapshot.header_of(damaged)
    assert snapshot.header_of(data).schema == len(MIGRATIONS)


async def test_every_table_is_in_the_copy_or_named_as_left_out() -> None:
    assert {"topics", "partitions", "epochs", "ranges", "objects", "offsets", "groups"} <= set(snapshot.tables())
    assert not {"changes", "secrets", "scram"} & set(snapshot.tables())


async def test_counters_jump_past_what_the_lost_store_may_have_given_out(metadata: Metadata) -> None:
    await lived(metadata)
    version = metadata.image.version
    first = await metadata.allocate_producer_ids(1)
    await metadata.change(lambda tx: revival.jump_ahead(tx, 0))
    assert metadata.image.version > version + 100_000
    assert await metadata.allocate_producer_ids(1) > first + 1_000_000
    assert await metadata.write(lambda tx: commits.prepare(tx, 0, 0)) > 1_000
    assert metadata.image.topics["t"].partitions[0].epoch >= 1_000
    epoch, _ = await metadata.change(lambda tx: members.register(tx, metadata_registration(), 0))
    assert epoch > 100_000


async def test_what_the_copy_does_not_know_the_use_of_is_kept(metadata: Metadata) -> None:
    """An object that was committed just after the copy is only prepared in it, and would be swept away."""
    committed = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))
    await metadata.write(lambda tx: tx.run("UPDATE objects SET state = 'committed' WHERE id = ?", committed))
    begun, missing = [await metadata.write(lambda tx: commits.prepare(tx, 0, 0)) for _ in range(2)]
    listed = [(committed, 10), (begun, 20), (missing + 1, 30)]
    assert await metadata.write(lambda tx: revival.keep(tx, listed, missing, 5)) == 2
    rows = await metadata.read(lambda tx: tx.all("SELECT id, state, size_bytes FROM objects ORDER BY id"))
    states = {object_id: (state, size) for object_id, state, size in rows}
    assert states[committed][0] == "committed"
    assert states[missing][0] == "prepared"
    assert (states[begun], states[missing + 1]) == (("kept", 20), ("kept", 30))


def metadata_registration() -> Any:
    from broker.metadata import Registration

    return Registration(
        id=7, listeners={}, http="", zone=None, spot=False, version="0", host_id="here", wal_url="file:///wal/7"
    )


async def test_a_store_that_is_in_use_is_not_restored_into(metadata: Metadata) -> None:
    with pytest.raises(KafkaStorageError, match="holds cluster"):
        await metadata.read(lambda tx: revival.refuse_unless_empty(tx, "here"))
