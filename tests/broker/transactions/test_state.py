"""The state machine of one transactional id, without a store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.errors import ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced
from broker.metadata.rows import TransactionRow
from broker.transactions import state
from broker.transactions.state import Claim, TransactionState


def fresh() -> int:
    return 2000


NEW = state.created("x", 5, 1000, lambda: 1000, 1)
OPEN = state.joined(NEW, Claim(producer_id=1000, epoch=0), 2)


def end(row: TransactionRow | None, epoch: int, *, commit: bool, bump: bool) -> TransactionRow:
    claim = Claim(producer_id=1000, epoch=epoch)
    return state.ended(row, claim, commit=commit, bump=bump, fresh_id=fresh, now_ms=3)


def init(row: TransactionRow, claim: Claim | None = None) -> TransactionRow:
    return state.initialised(row, claim, 1000, fresh, 4)


def test_a_commit_goes_through_its_decision():
    decided = end(OPEN, 0, commit=True, bump=False)
    assert (decided.state, decided.marker_epoch, decided.epoch) == (TransactionState.PREPARE_COMMIT, 0, 0)
    with pytest.raises(InvalidTxnState):
        end(decided, 0, commit=False, bump=False)
    with pytest.raises(ConcurrentTransactions):
        state.joined(decided, Claim(producer_id=1000, epoch=0), 4)
    done = state.completed(decided, 4)
    assert (done.state, done.started_ms) == (TransactionState.COMPLETE_COMMIT, -1)
    assert end(done, 0, commit=True, bump=False) is done
    assert state.joined(done, Claim(producer_id=1000, epoch=0), 5).state == TransactionState.ONGOING


def test_the_new_protocol_gives_the_producer_its_next_epoch_and_knows_a_repetition():
    decided = end(OPEN, 0, commit=True, bump=True)
    assert (decided.epoch, decided.marker_epoch) == (1, 1)
    assert end(decided, 0, commit=True, bump=True) is decided
    done = state.completed(decided, 4)
    assert end(done, 0, commit=True, bump=True) is done
    with pytest.raises(ProducerFenced):
        end(done, 0, commit=False, bump=True)
    with pytest.raises(ProducerFenced):
        state.joined(done, Claim(producer_id=1000, epoch=0), 4)
    with pytest.raises(InvalidTxnState):
        end(done, 1, commit=True, bump=True)
    assert end(done, 1, commit=False, bump=True).state == TransactionState.PREPARE_ABORT


def test_who_takes_over_fences_and_aborts():
    aborting = init(OPEN)
    assert (aborting.state, aborting.epoch, aborting.marker_epoch) == (TransactionState.PREPARE_ABORT, 1, 1)
    with pytest.raises(ConcurrentTransactions):
        init(aborting)
    taken = init(state.completed(aborting, 4))
    assert (taken.state, taken.epoch) == (TransactionState.EMPTY, 2)
    with pytest.raises(ProducerFenced):
        end(taken, 0, commit=True, bump=False)


def test_who_says_who_it_was_goes_on_and_a_stranger_does_not():
    me = Claim(producer_id=1000, epoch=0)
    mine = init(NEW, me)
    assert mine.epoch == 1
    assert init(mine, me).epoch == 1
    with pytest.raises(ProducerFenced):
        init(mine, Claim(producer_id=1000, epoch=7))
    timed_out = state.completed(state.prepared(OPEN, commit=False, bump=True, fresh_id=fresh, now_ms=3), 4)
    assert init(timed_out, me).epoch == 1


def test_an_id_whose_epochs_are_used_up_gets_a_new_producer():
    last = replace(OPEN, epoch=2**15 - 2)
    decided = end(last, 2**15 - 2, commit=True, bump=True)
    assert (decided.producer_id, decided.epoch) == (2000, 0)
    assert (decided.marker_id, decided.marker_epoch) == (1000, 2**15 - 1)
    assert end(decided, 2**15 - 2, commit=True, bump=True) is decided
    assert (init(replace(last, state=TransactionState.EMPTY))).producer_id == 2000


def test_a_stranger_has_no_transaction():
    with pytest.raises(InvalidProducerIdMapping):
        state.joined(None, Claim(producer_id=1, epoch=0), 1)
    with pytest.raises(InvalidProducerIdMapping):
        state.joined(NEW, Claim(producer_id=1, epoch=0), 1)
    with pytest.raises(InvalidTxnState):
        end(NEW, 0, commit=True, bump=False)
