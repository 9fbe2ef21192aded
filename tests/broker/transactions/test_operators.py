"""What an operator sees of transactions, and how one that hangs is found and ended, as kafka-transactions.sh does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from broker.errors import InvalidProducerEpoch, TransactionalIdNotFound, TransactionCoordinatorFenced
from tests.broker.api.asking import create
from tests.broker.api.conftest import broker, wire  # noqa: F401
from tests.broker.transactions.test_log import batch

TIMEOUT = timedelta(seconds=60)


async def begin(wire: Any, name: str = "x") -> Any:  # noqa: F811
    """A transaction with a record in t-0; the producer."""
    await wire.ask(10, 4, key_type=1, coordinator_keys=[name])
    async with asyncio.timeout(30):
        while True:
            who = await wire.ask(22, 4, transactional_id=name, transaction_timeout=TIMEOUT)
            if int(who.error_code) == 0:
                break
            await asyncio.sleep(0.02)
    data = [{"name": "t", "partition_data": [{"index": 0, "records": batch(who.producer_id, 0)}]}]
    asked = {"transactional_id": name, "acks": -1, "timeout": TIMEOUT, "topic_data": data}
    found = await wire.ask(0, 12, **asked)
    assert int(found.responses[0].partition_responses[0].error_code) == 0
    return who


async def describe(wire: Any) -> Any:  # noqa: F811
    found = await wire.ask(61, 0, topics=[{"name": "t", "partition_indexes": [0]}])
    return found.topics[0].partitions[0].active_producers


async def test_transactions_are_listed_and_described(wire: Any) -> None:  # noqa: F811
    await create(wire, "t")
    who = await begin(wire)
    listed = {"state_filters": ["Ongoing", "Odd"], "producer_id_filters": [], "duration_filter": -1}
    found = await wire.ask(66, 1, **listed)
    assert [(one.transactional_id, one.transaction_state) for one in found.transaction_states] == [("x", "Ongoing")]
    assert list(found.unknown_state_filters) == ["Odd"]
    assert not (await wire.ask(66, 1, **{**listed, "duration_filter": 60_000})).transaction_states
    assert not (await wire.ask(66, 2, **listed, transactional_id_pattern="y.*")).transaction_states
    x, y = (await wire.ask(65, 0, transactional_ids=["x", "y"])).transaction_states
    assert (x.transaction_state, x.producer_id, x.topics[0].topic, x.topics[0].partitions) == (
        "Ongoing",
        who.producer_id,
        "t",
        (0,),
    )
    assert int(y.error_code) == TransactionalIdNotFound.code
    (writer,) = await describe(wire)
    assert (writer.producer_id, writer.last_sequence, writer.current_txn_start_offset) == (who.producer_id, 0, 0)


async def test_a_hanging_transaction_is_found_and_aborted(broker: Any, wire: Any) -> None:  # noqa: F811
    await create(wire, "t")
    who = await begin(wire)
    await broker.node._metadata.write(lambda tx: tx.run("DELETE FROM transactions"))
    assert (await describe(wire))[0].current_txn_start_offset == 0

    async def mark(epoch: int, coordinator: int) -> int:
        marker = {
            "producer_id": who.producer_id,
            "producer_epoch": epoch,
            "coordinator_epoch": coordinator,
            "transaction_result": False,
            "topics": [{"name": "t", "partition_indexes": [0]}],
        }
        found = await wire.ask(27, 1, markers=[marker])
        return int(found.markers[0].topics[0].partitions[0].error_code)

    assert await mark(0, 3) == 0
    assert (await describe(wire))[0].current_txn_start_offset == -1
    assert await mark(0, 3) == 0
    assert await mark(0, 2) == TransactionCoordinatorFenced.code
    assert await mark(1, 3) == 0
    assert await mark(0, 3) == InvalidProducerEpoch.code
    log = broker.node._logs.get("t", 0)
    assert log.last_stable == log.high_watermark == 3


async def test_a_decision_that_a_coordinator_left_behind_is_carried_out(broker: Any, wire: Any) -> None:  # noqa: F811
    await create(wire, "t")
    await begin(wire)
    decided = "UPDATE transactions SET state = 'PrepareCommit', marker_id = producer_id, marker_epoch = epoch"
    await broker.node._metadata.write(lambda tx: tx.run(decided))
    log = broker.node._logs.get("t", 0)
    assert log.last_stable == 0
    done = {"state_filters": ["CompleteCommit"], "producer_id_filters": [], "duration_filter": -1}
    async with asyncio.timeout(30):
        while not (await wire.ask(66, 1, **done)).transaction_states:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert log.last_stable == log.high_watermark == 2
