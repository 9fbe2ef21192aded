"""One transactional id's state machine: from a row and a request to the next row, or an error. Pure.

    Empty -> Ongoing -> PrepareCommit -> CompleteCommit -> Ongoing ...
                     -> PrepareAbort  -> CompleteAbort  -> Ongoing ...

1. Prepare is a decision: from then on only its own outcome can follow, whoever coordinates.
2. Whoever takes an id over gets a higher epoch, and so does the producer at each end of a transaction from EndTxn
   version 5 on (KIP-890): what the previous epoch sends is refused everywhere.
3. `previous` is what the holder said before its last change, so that a request whose answer was lost may be repeated.
Source: org.apache.kafka.coordinator.transaction, TransactionCoordinator.endTransaction and handleInitProducerId.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from broker.errors import ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced
from broker.metadata.rows import TransactionRow


class TransactionState(StrEnum):
    """Kafka's names, as DescribeTransactions and ListTransactions show them."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"
    DEAD = "Dead"
    PREPARE_EPOCH_FENCE = "PrepareEpochFence"


PREPARED = (TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT)
IDLE = (TransactionState.EMPTY, TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT)
_LAST_EPOCH = 2**15 - 2
"""Of a producer; the markers of its last transaction take the one above it."""

FreshId = Callable[[], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Who a producer says it is."""

    producer_id: int
    epoch: int


def holder(row: TransactionRow | None, claim: Claim) -> TransactionRow:
    """The row, when the claim is what its producer must say."""
    if row is None or row.producer_id != claim.producer_id:
        held = "nobody" if row is None else f"producer {row.producer_id}"
        raise InvalidProducerIdMapping(f"the transactional id belongs to {held}, not to producer {claim.producer_id}")
    if row.epoch != claim.epoch:
        raise ProducerFenced(f"{row.transactional_id}: epoch {claim.epoch} of its producer is over, it is {row.epoch}")
    return row


def joined(row: TransactionRow | None, claim: Claim, now_ms: int) -> TransactionRow:
    """A transaction takes more partitions; the first ones begin it."""
    row = holder(row, claim)
    if row.state in PREPARED:
        raise ConcurrentTransactions(f"{row.transactional_id}: its last transaction is still being ended, try again")
    if row.state == TransactionState.ONGOING:
        return row
    return replace(row, state=TransactionState.ONGOING, started_ms=now_ms, updated_ms=now_ms)


def running(row: TransactionRow | None, claim: Claim) -> TransactionRow:
    """The row, when its transaction is under way."""
    row = holder(row, claim)
    if row.state in PREPARED:
        raise ConcurrentTransactions(f"{row.transactional_id}: its last transaction is still being ended, try again")
    if row.state != TransactionState.ONGOING:
        raise InvalidTxnState(f"{row.transactional_id} has no transaction under way: it is {row.state}")
    return row


def created(transactional_id: str, home_uid: int, timeout_ms: int, fresh_id: FreshId, now_ms: int) -> TransactionRow:
    """The first producer of an id."""
    return TransactionRow(
        transactional_id=transactional_id,
        coordinator_uid=home_uid,
        state=TransactionState.EMPTY,
        producer_id=fresh_id(),
        epoch=0,
        timeout_ms=timeout_ms,
        updated_ms=now_ms,
    )


def initialised(
    row: TransactionRow, claim: Claim | None, timeout_ms: int, fresh_id: FreshId, now_ms: int
) -> TransactionRow:
    """A producer takes the id over, or goes on as who it `claim`s to be. A transaction under way is aborted first: then
    what is returned is prepared, and the producer has to ask again.
    """
    if row.state in PREPARED:
        raise ConcurrentTransactions(f"{row.transactional_id}: its last transaction is still being ended, try again")
    repeated = claim is not None and claim == _previous(row)
    if claim is not None and not repeated and claim != _current(row):
        raise ProducerFenced(f"{row.transactional_id} belongs to producer {row.producer_id} with epoch {row.epoch}")
    if row.state == TransactionState.ONGOING:
        return prepared(row, commit=False, bump=True, fresh_id=fresh_id, now_ms=now_ms)
    if repeated:
        return replace(row, timeout_ms=timeout_ms, updated_ms=now_ms)
    previous = claim or Claim(producer_id=-1, epoch=-1)
    producer_id, epoch = _bumped(row, fresh_id)
    return replace(
        row,
        state=TransactionState.EMPTY,
        producer_id=producer_id,
        epoch=epoch,
        previous_id=previous.producer_id,
        previous_epoch=previous.epoch,
        timeout_ms=timeout_ms,
        updated_ms=now_ms,
    )


def ended(
    row: TransactionRow | None, claim: Claim, *, commit: bool, bump: bool, fresh_id: FreshId, now_ms: int
) -> TransactionRow:
    """EndTxn. The same row when this was decided before, and the request is a repetition."""
    if row is None or claim.producer_id not in (row.producer_id, row.previous_id):
        raise InvalidProducerIdMapping(f"the transactional id does not belong to producer {claim.producer_id}")
    outcome = _outcome(commit)
    if claim != _current(row):
        if bump and claim == _previous(row) and row.state in outcome:
            return row
        raise ProducerFenced(f"{row.transactional_id}: epoch {claim.epoch} of its producer is over, it is {row.epoch}")
    if row.state == TransactionState.ONGOING or (bump and not commit and row.state in IDLE):
        return prepared(row, commit=commit, bump=bump, fresh_id=fresh_id, now_ms=now_ms)
    if row.state in outcome and not (bump and row.state in IDLE):
        return row
    raise InvalidTxnState(f"{row.transactional_id} cannot {'commit' if commit else 'abort'}: it is {row.state}")


def prepared(row: TransactionRow, *, commit: bool, bump: bool, fresh_id: FreshId, now_ms: int) -> TransactionRow:
    """The decision. With `bump` the producer goes on under the next epoch, which the markers make known."""
    state = TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT
    if not bump:
        return replace(row, state=state, marker_id=row.producer_id, marker_epoch=row.epoch, updated_ms=now_ms)
    producer_id, epoch = _bumped(row, fresh_id)
    return replace(
        row,
        state=state,
        marker_id=row.producer_id,
        marker_epoch=row.epoch + 1,
        producer_id=producer_id,
        epoch=epoch,
        previous_id=row.producer_id,
        previous_epoch=row.epoch,
        updated_ms=now_ms,
    )


def completed(row: TransactionRow, now_ms: int) -> TransactionRow:
    """Every marker is durable."""
    commit = row.state == TransactionState.PREPARE_COMMIT
    state = TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT
    return replace(row, state=state, started_ms=-1, marker_id=-1, marker_epoch=-1, updated_ms=now_ms)


def _outcome(commit: bool) -> tuple[TransactionState, TransactionState]:
    if commit:
        return TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT
    return TransactionState.PREPARE_ABORT, TransactionState.COMPLETE_ABORT


def _current(row: TransactionRow) -> Claim:
    return Claim(producer_id=row.producer_id, epoch=row.epoch)


def _previous(row: TransactionRow) -> Claim:
    return Claim(producer_id=row.previous_id, epoch=row.previous_epoch)


def _bumped(row: TransactionRow, fresh_id: FreshId) -> tuple[int, int]:
    """The next epoch, or a new id when there is none left."""
    return (row.producer_id, row.epoch + 1) if row.epoch < _LAST_EPOCH else (fresh_id(), 0)
