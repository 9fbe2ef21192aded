"""Jobs that are committed together: what one of them does wrong is its own business."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import InvalidRequest, KafkaError, NotCoordinator
from broker.metadata import Coordinator, Metadata, OffsetRow
from broker.metadata.database import MetadataUnavailable, Tx


async def in_one_group(metadata: Metadata, *asks: Callable[[], Any]) -> list[Any]:
    """What each got; all of them queued while the writer was busy, so that they go into one transaction."""
    begun, gate = threading.Event(), threading.Event()
    busy = asyncio.ensure_future(metadata.write(lambda tx: (begun.set(), gate.wait(60))[1]))
    assert await asyncio.to_thread(begun.wait, 30)
    asked = [asyncio.ensure_future(ask()) for ask in asks]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    await busy
    return answers


def set_host(broker: int, host: str) -> Callable[[Tx], str]:
    def work(tx: Tx) -> str:
        tx.run("UPDATE brokers SET host_id = ? WHERE id = ?", host, broker)
        tx.changed("brokers")
        return host

    return work


def refuse_after_writing(tx: Tx) -> None:
    set_host(1, "half done")(tx)
    raise KafkaError("changed its mind")


def break_a_constraint(tx: Tx) -> None:
    set_host(1, "half done")(tx)
    tx.run("INSERT INTO departed(broker, epoch) VALUES (1, 1), (1, 2)")


def misspell(tx: Tx) -> None:
    set_host(1, "half done")(tx)
    tx.all("SELECT nothing FROM brokers")


def divide(tx: Tx) -> float:
    set_host(1, "half done")(tx)
    return 1 / 0


@pytest.mark.parametrize("wrong", [refuse_after_writing, break_a_constraint, misspell, divide])
async def test_a_job_that_fails_after_writing_is_undone_alone(metadata: Metadata, wrong: Any) -> None:
    before = metadata.image
    first, failed, last = await in_one_group(
        metadata,
        lambda: metadata.write(set_host(0, "a")),
        lambda: metadata.write(wrong),
        lambda: metadata.write(set_host(2, "c")),
    )
    assert (first, last) == ("a", "c")
    assert isinstance(failed, KafkaError)
    image = await metadata.refresh()
    assert [image.brokers[b].host_id for b in range(3)] == ["a", "here", "c"]
    assert image.version == before.version + 1


async def test_a_job_that_fails_alone_in_its_transaction_leaves_nothing(metadata: Metadata) -> None:
    for wrong in (refuse_after_writing, break_a_constraint, misspell, divide):
        with pytest.raises(KafkaError):
            await metadata.write(wrong)
    image = await metadata.refresh()
    assert image.brokers[1].host_id == "here"
    assert await metadata.write(set_host(1, "whole")) == "whole"


async def test_a_read_that_fails_says_so_and_the_next_one_works(metadata: Metadata) -> None:
    with pytest.raises(MetadataUnavailable, match="cannot read"):
        await metadata.read(lambda tx: tx.all("SELECT nothing FROM brokers"))
    assert await metadata.read(lambda tx: tx.one("SELECT count(*) FROM brokers")) == (3,)


async def test_offsets_of_many_groups_are_written_together_and_refused_one_by_one(metadata: Metadata) -> None:
    topic = await metadata.create_topic("t", partitions=2)
    home = topic.partitions[0]
    mine = Coordinator(uid=home.uid, owner=home.owner, epoch=home.epoch)
    stale = Coordinator(uid=home.uid, owner=home.owner, epoch=home.epoch + 1)
    nowhere = Coordinator(uid=7, owner=home.owner, epoch=0)

    def commit(group: str, offset: int, coordinator: Coordinator, metadata_text: str = "") -> Callable[[], Any]:
        row = OffsetRow(offset=offset, leader_epoch=0, metadata=metadata_text, committed_at_ms=1)
        return lambda: metadata.commit_offsets(group, {(topic.id, 0): row}, coordinator)

    asks = [commit(f"g{number}", number, mine) for number in range(50)]
    asks += [commit("g0", 99, mine), commit("g1", 99, stale), commit("g2", 99, nowhere), commit("g3", 99, mine, "a\0b")]
    answers = await in_one_group(metadata, *asks)
    assert answers[:-3] == [None] * 51
    assert [type(answer) for answer in answers[-3:]] == [NotCoordinator, NotCoordinator, InvalidRequest]
    found = [await metadata.fetch_offsets(group) for group in ("g0", "g1", "g2", "g3")]
    assert [rows[topic.id, 0].offset for rows in found] == [99, 1, 2, 3]
