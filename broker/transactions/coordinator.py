"""What the transaction APIs ask of a coordinator, and what leaders ask before a transaction begins in a partition.

Each request is one SQL transaction on the id's row, conditional on the coordinator's own leadership: a coordinator that
lost its partition cannot decide. Leaders and group coordinators add what they take to a transaction themselves
(`enlist`, `commit_offsets`): one store holds it all, and asking another broker would only add a round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from broker.clock import Clock
from broker.errors import (
    ConcurrentTransactions,
    InvalidRequest,
    InvalidTransactionTimeout,
    InvalidTxnState,
    NotCoordinator,
    TopicAlreadyExists,
    TransactionalIdNotFound,
)
from broker.metadata import Metadata
from broker.metadata import transactions as table
from broker.metadata.database import Tx, retriable
from broker.metadata.groups import OffsetKey, check_coordinator
from broker.metadata.image import TRANSACTION_STATE, Partition
from broker.metadata.placement import home_in
from broker.metadata.rows import Coordinator, OffsetRow, TransactionRow
from broker.metadata.topics import TRANSACTIONS_PARTITIONS
from broker.metadata.transactions import Place
from broker.transactions import state
from broker.transactions.finishing import Finishing
from broker.transactions.settings import TransactionSettings
from broker.transactions.state import PREPARED, Claim


@dataclass(frozen=True, kw_only=True)
class TransactionView:
    """A transactional id as others see it."""

    row: TransactionRow
    places: tuple[Place, ...]


class TransactionCoordinator:
    """The transactional ids this broker coordinates. One per broker."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        clock: Clock,
        broker_id: int,
        settings: TransactionSettings,
        finishing: Finishing,
    ) -> None:
        self._metadata, self._clock, self._broker_id, self._settings = metadata, clock, broker_id, settings
        self._finishing = finishing

    async def start(self) -> None:
        """Begins to watch for what is overdue, and for what others left behind."""
        self._finishing.start()

    async def stop(self) -> None:
        """What is prepared and not finished is for the next coordinator."""
        await self._finishing.stop()

    async def make_home(self) -> None:
        """Creates the internal topic when the first producer asks."""
        async with retriable():
            if TRANSACTION_STATE not in self._metadata.image.topics:
                try:
                    await self._metadata.create_topic(TRANSACTION_STATE, partitions=TRANSACTIONS_PARTITIONS)
                except TopicAlreadyExists:
                    await self._metadata.refresh()

    def home_of(self, transactional_id: str) -> Partition:
        """The partition whose owner coordinates the id; CoordinatorNotAvailable while nobody owns it."""
        if not transactional_id or "\0" in transactional_id:
            raise InvalidRequest("a transactional id must not be empty, nor hold a NUL")
        return home_in(self._metadata.image, TRANSACTION_STATE, transactional_id)

    # -- the producer's side -----------------------------------------------------------------------------------------

    async def initialise(self, transactional_id: str, timeout_ms: int, claim: Claim | None) -> TransactionRow:
        """Who the producer is from now on. ConcurrentTransactions while its last transaction is being ended."""
        coordinator = self._mine(transactional_id)
        if not 0 < timeout_ms <= self._settings.max_timeout_ms:
            raise InvalidTransactionTimeout(f"{timeout_ms} ms is outside 1 to {self._settings.max_timeout_ms} ms")
        now_ms = self._clock.wall_ms()

        def work(tx: Tx) -> TransactionRow:
            check_coordinator(tx, coordinator)
            row = table.load(tx, transactional_id)
            fresh = lambda: table.new_producer_id(tx)  # noqa: E731
            if row is None:
                found = state.created(transactional_id, coordinator.uid, timeout_ms, fresh, now_ms)
            else:
                found = state.initialised(row, claim, timeout_ms, fresh, now_ms)
            self._save(tx, row, found)
            return found

        for _ in range(3):
            try:
                async with retriable():
                    row = await self._metadata.write(work)
                if row.state not in PREPARED:
                    return row
            except ConcurrentTransactions:
                pass
            if not await self._finish(transactional_id, coordinator):
                break
        raise ConcurrentTransactions(f"{transactional_id}: its last transaction is still being ended, try again")

    async def add(self, transactional_id: str, claim: Claim, places: Collection[Place]) -> None:
        """AddPartitionsToTxn and AddOffsetsToTxn: the transaction is about to write there."""
        coordinator = self._mine(transactional_id)
        await self._take(transactional_id, claim, places, coordinator)

    async def end(self, transactional_id: str, claim: Claim, *, commit: bool, bump: bool) -> TransactionRow:
        """The decision, durable; the row says who the producer is from now on. Markers follow, mostly before this
        returns.
        """
        coordinator = self._mine(transactional_id)
        now_ms = self._clock.wall_ms()

        def work(tx: Tx) -> TransactionRow:
            check_coordinator(tx, coordinator)
            row = table.load(tx, transactional_id)
            fresh = lambda: table.new_producer_id(tx)  # noqa: E731
            found = state.ended(row, claim, commit=commit, bump=bump, fresh_id=fresh, now_ms=now_ms)
            self._save(tx, row, found)
            return found

        async with retriable():
            row = await self._metadata.write(work)
        if row.state in PREPARED:
            await self._finish(transactional_id, coordinator)
        return row

    # -- the leaders' side -------------------------------------------------------------------------------------------

    async def enlist(self, transactional_id: str, claim: Claim, places: Collection[Place], *, add: bool) -> None:
        """Asked by a leader before a transaction begins in its partitions: adds them, or only makes sure that they were
        added (InvalidTxnState when not). Any broker may ask.
        """
        if not transactional_id or "\0" in transactional_id:
            raise InvalidRequest("a transactional id must not be empty, nor hold a NUL")
        if add:
            await self._take(transactional_id, claim, places, None)
            return

        def look(tx: Tx) -> None:
            state.running(table.load(tx, transactional_id), claim)
            if missing := set(places) - set(table.places(tx, transactional_id)):
                raise InvalidTxnState(f"{len(missing)} partitions were not added to {transactional_id}'s transaction")

        async with retriable():
            await self._metadata.read(look)

    async def commit_offsets(
        self,
        transactional_id: str,
        claim: Claim,
        group_id: str,
        offsets: Mapping[OffsetKey, OffsetRow],
        *,
        home: Place,
        group: Coordinator,
        add: bool,
    ) -> None:
        """Offsets that become the group's if the transaction commits. `home` is the group's partition, which the
        transaction must have (or gets, with `add`); `group` its leadership, which this is conditional on.
        """
        now_ms = self._clock.wall_ms()
        if any("\0" in text for text in (transactional_id, group_id, *(row.metadata for row in offsets.values()))):
            raise InvalidRequest(f"group {group_id!r}: offsets with a NUL in their text cannot be kept")

        def work(tx: Tx) -> None:
            check_coordinator(tx, group)
            row = table.load(tx, transactional_id)
            if add:
                self._join(tx, row, claim, (home,), now_ms)
            else:
                state.running(row, claim)
                if home not in table.places(tx, transactional_id):
                    raise InvalidTxnState(f"group {group_id} was not added to {transactional_id}'s transaction")
            table.add_offsets(tx, transactional_id, group_id, offsets)

        async with retriable():
            await self._metadata.write(work)

    async def unstable(self, group_id: str) -> set[OffsetKey]:
        """Partitions for which an open transaction holds an offset of the group."""
        async with retriable():
            return await self._metadata.read(lambda tx: table.unstable(tx, group_id))

    # -- the operator's side -----------------------------------------------------------------------------------------

    async def describe(self, transactional_id: str) -> TransactionView:
        """TransactionalIdNotFound where there is none."""
        self._mine(transactional_id)

        def look(tx: Tx) -> TransactionView | None:
            row = table.load(tx, transactional_id)
            if row is None:
                return None
            return TransactionView(row=row, places=tuple(table.places(tx, transactional_id)))

        async with retriable():
            found = await self._metadata.read(look)
        if found is None:
            raise TransactionalIdNotFound(f"no transactional id {transactional_id}")
        return found

    async def rows(self) -> list[TransactionRow]:
        """Every transactional id this broker coordinates."""
        uids = [home.uid for home in self._finishing.homes()]
        async with retriable():
            return await self._metadata.read(lambda tx: table.of_coordinators(tx, uids))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _mine(self, transactional_id: str) -> Coordinator:
        home = self.home_of(transactional_id)
        if home.owner != self._broker_id:
            raise NotCoordinator(f"{transactional_id} is coordinated by broker {home.owner}: ask FindCoordinator")
        return Coordinator(uid=home.uid, owner=home.owner, epoch=home.epoch)

    async def _take(
        self, transactional_id: str, claim: Claim, places: Collection[Place], coordinator: Coordinator | None
    ) -> None:
        now_ms = self._clock.wall_ms()

        def work(tx: Tx) -> None:
            if coordinator is not None:
                check_coordinator(tx, coordinator)
            self._join(tx, table.load(tx, transactional_id), claim, places, now_ms)

        async with retriable():
            await self._metadata.write(work)

    def _join(self, tx: Tx, row: TransactionRow | None, claim: Claim, places: Collection[Place], now_ms: int) -> None:
        found = state.joined(row, claim, now_ms)
        if found is not row:
            table.save(tx, found)
        table.add_places(tx, found.transactional_id, places)

    def _save(self, tx: Tx, before: TransactionRow | None, after: TransactionRow) -> None:
        """The row, and what its state means for the offsets that wait."""
        if after is before:
            return
        table.save(tx, after)
        if after.state in PREPARED:
            commit = after.state == state.TransactionState.PREPARE_COMMIT
            table.settle_offsets(tx, after.transactional_id, commit=commit)

    async def _finish(self, transactional_id: str, coordinator: Coordinator) -> bool:
        """Whether every marker was durable within the time an answer waits for that."""
        finishing = self._finishing.finish(transactional_id, coordinator)
        done, _ = await asyncio.wait((finishing,), timeout=self._settings.wait_s)
        return bool(done)
