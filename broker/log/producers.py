"""What idempotent and transactional producers have written to one partition: the last five batches of each, as Kafka
keeps them, and the transactions that they opened.

A batch that repeats one of those is a retry and gets the old offset; anything else must continue the sequence. The
state at a committed end travels with the commit (`snapshot`), so a move or a failover forgets nothing: what came after
it is in the WAL, and replaying that on the snapshot gives the same state again.

A transaction begins in a partition with a batch that its coordinator has confirmed, and a marker voids confirmations:
`guard` comes before the coordinator is asked, and `check` wants it back, so that a batch that was on its way when its
transaction was ended cannot open one that nobody would ever end (KIP-890).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from broker.errors import (
    InvalidProducerEpoch,
    InvalidTxnState,
    NotEnoughReplicas,
    OutOfOrderSequenceNumber,
    TransactionCoordinatorFenced,
)
from broker.log import producer_snapshot
from broker.log.producer_snapshot import NOTHING, Producer, State, Written
from broker.log.undecided import MAX_ABORTED, Transactions
from broker.records.batch import Batch
from broker.records.markers import Marker, read_marker

__all__ = ["Guard", "ProducerView", "Producers", "Written"]

KEPT_BATCHES = 5
"""Kafka's limit of requests in flight for an idempotent producer."""
MAX_PRODUCERS = 20_000
"""Of one partition; over it the one that wrote least recently is forgotten (law 12)."""

Bytes = bytes | bytearray | memoryview


class Guard:
    """A confirmation that is being asked for; compared by identity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProducerView:
    """One producer, as DescribeProducers shows it; -1 for what there is not."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_ms: int
    coordinator_epoch: int
    open_since: int
    """First offset of its open transaction."""


class Producers:
    """Mutable; the log calls `check` before and `record` after it gives a batch its offset."""

    def __init__(self, snapshot: bytes = b"") -> None:
        state = producer_snapshot.unpack(snapshot)
        self._known = state.producers
        self.transactions = Transactions(state.opened, state.aborted)
        self._guards: dict[int, Guard] = {}

    def check(self, batch: Batch, guard: Guard | None = None) -> Written | None:
        """The earlier append that this batch repeats, or None for a new one.

        InvalidProducerEpoch for an epoch that was overtaken, OutOfOrderSequenceNumber for a gap, InvalidTxnState for a
        transaction that was not confirmed.
        """
        known = self._known.get(batch.producer_id)
        if known is not None:
            if batch.producer_epoch < known.epoch:
                raise InvalidProducerEpoch(
                    f"producer {batch.producer_id} has epoch {known.epoch}, the batch says {batch.producer_epoch}"
                )
            if batch.producer_epoch > known.epoch:
                self._check_next(batch, 0)
            else:
                for written in known.last:
                    if (written.first_sequence, written.last_sequence) == (batch.base_sequence, batch.last_sequence):
                        return written
                self._check_next(batch, (known.last[-1].last_sequence + 1) & 0x7FFFFFFF if known.last else 0)
        self._check_transaction(batch, guard)
        return None

    def _check_next(self, batch: Batch, expected: int) -> None:
        if batch.base_sequence != expected:
            raise OutOfOrderSequenceNumber(
                f"producer {batch.producer_id}: sequence {batch.base_sequence} where {expected} is due"
            )

    # -- transactions ------------------------------------------------------------------------------------------------

    def has_open(self, producer_id: int, epoch: int) -> bool:
        """Whether the producer's transaction has begun here, so that nobody need be asked about it."""
        known = self._known.get(producer_id)
        return producer_id in self.transactions.opened and known is not None and known.epoch == epoch

    def guard(self, producer_id: int) -> Guard:
        """To be taken before the coordinator is asked whether the producer's transaction may begin here."""
        guard = self._guards.pop(producer_id, None) or Guard()
        self._guards[producer_id] = guard
        if len(self._guards) > MAX_PRODUCERS:
            del self._guards[next(iter(self._guards))]
        return guard

    def _check_transaction(self, batch: Batch, guard: Guard | None) -> None:
        opened = batch.producer_id in self.transactions.opened
        if not batch.is_transactional:
            if opened:
                raise InvalidTxnState(f"producer {batch.producer_id} has a transaction open here: end it first")
            return
        if self.has_open(batch.producer_id, batch.producer_epoch):
            return
        if opened or guard is None or self._guards.get(batch.producer_id) is not guard:
            raise InvalidTxnState(f"the transaction of producer {batch.producer_id} was not confirmed, or just ended")
        if len(self.transactions.aborted) >= MAX_ABORTED:
            raise NotEnoughReplicas(f"{MAX_ABORTED} aborted transactions are kept here: wait for retention")

    def wants(self, marker: Marker) -> bool:
        """Whether the marker has to be written: not when it ends nothing and was seen before.

        TransactionCoordinatorFenced for a coordinator that was followed by another, InvalidProducerEpoch for an epoch
        that was overtaken.
        """
        known = self._known.get(marker.producer_id)
        if known is None:
            return False
        if marker.coordinator_epoch < known.coordinator_epoch:
            raise TransactionCoordinatorFenced(
                f"producer {marker.producer_id}: coordinator epoch {marker.coordinator_epoch} is over, it is"
                f" {known.coordinator_epoch}"
            )
        if marker.producer_epoch < known.epoch:
            raise InvalidProducerEpoch(
                f"producer {marker.producer_id} has epoch {known.epoch}, the marker says {marker.producer_epoch}"
            )
        return marker.producer_id in self.transactions.opened or marker.producer_epoch > known.epoch

    def void(self, producer_id: int) -> None:
        """Whatever was confirmed for the producer is not so any more."""
        self._guards.pop(producer_id, None)

    # -- what was appended -------------------------------------------------------------------------------------------

    def apply(self, data: Bytes, batch: Batch, base_offset: int) -> None:
        """Remembers an appended batch, whichever kind it is of."""
        if batch.is_control:
            self._end(read_marker(data, batch), base_offset, batch.max_timestamp)
        elif batch.is_idempotent:
            self.record(batch, base_offset)

    def record(self, batch: Batch, base_offset: int) -> None:
        """Remembers an appended batch of records."""
        written = Written(
            first_sequence=batch.base_sequence,
            last_sequence=batch.last_sequence,
            base_offset=base_offset,
            end_offset=base_offset + batch.last_offset_delta + 1,
        )
        known = self._renewed(batch.producer_id, batch.producer_epoch)
        known.last = [*known.last[1 - KEPT_BATCHES :], written]
        known.at_ms = batch.max_timestamp
        if batch.is_transactional:
            self.transactions.begin(batch.producer_id, base_offset)
            self._guards.pop(batch.producer_id, None)
        self._bound()

    def _end(self, marker: Marker, offset: int, at_ms: int) -> None:
        known = self._renewed(marker.producer_id, marker.producer_epoch)
        known.coordinator_epoch, known.marker, known.at_ms = marker.coordinator_epoch, offset, at_ms
        self.transactions.end(marker.producer_id, offset, commit=marker.commit)
        self.void(marker.producer_id)
        self._bound()

    def _renewed(self, producer_id: int, epoch: int) -> Producer:
        """The producer, last in the order of writing; with another epoch it has written nothing yet."""
        known = self._known.pop(producer_id, None) or Producer(epoch=epoch)
        if known.epoch != epoch:
            known.epoch, known.last = epoch, []
        self._known[producer_id] = known
        return known

    def _bound(self) -> None:
        if len(self._known) > MAX_PRODUCERS:
            opened = self.transactions.opened
            oldest = next((producer_id for producer_id in self._known if producer_id not in opened), None)
            if oldest is not None:
                del self._known[oldest]

    # -- what others are told ----------------------------------------------------------------------------------------

    def snapshot(self, end: int) -> bytes:
        """The state as of offset `end`: what came past it is left out, since the WAL has it."""
        opened, aborted = self.transactions.as_of(end)
        producers: dict[int, Producer] = {}
        for producer_id, known in self._known.items():
            last = [written for written in known.last if written.end_offset <= end]
            marked = NOTHING < known.marker < end
            if not (last or marked or producer_id in opened):
                continue
            producers[producer_id] = Producer(
                epoch=known.epoch,
                last=last,
                coordinator_epoch=known.coordinator_epoch if marked else NOTHING,
                marker=known.marker if marked else NOTHING,
                at_ms=known.at_ms,
            )
        return producer_snapshot.pack(State(producers=producers, opened=opened, aborted=aborted))

    def last_ends(self) -> dict[int, int]:
        """Producer id to the end of its last batch of records, or of its marker where it has none; for the cleaner."""
        ends = {}
        for producer_id, known in self._known.items():
            if known.last:
                ends[producer_id] = known.last[-1].end_offset
            elif known.marker != NOTHING:
                ends[producer_id] = known.marker + 1
        return ends

    def views(self) -> Iterator[ProducerView]:
        """Everyone who is known."""
        for producer_id, known in self._known.items():
            yield ProducerView(
                producer_id=producer_id,
                epoch=known.epoch,
                last_sequence=known.last[-1].last_sequence if known.last else -1,
                last_ms=known.at_ms,
                coordinator_epoch=known.coordinator_epoch,
                open_since=self.transactions.opened.get(producer_id, NOTHING),
            )

    def __len__(self) -> int:
        return len(self._known)
