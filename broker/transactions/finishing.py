"""From a decision to its markers: each prepared transaction of this coordinator has one task that sends them until all
are durable, and then says so in its row. A second duty looks for transactions that are overdue, and for those that an
earlier coordinator left prepared.

A task stops when the partition of `__transaction_state` has another owner: the next one begins anew, and markers may
come twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from broker.clock import Clock
from broker.errors import KafkaError, NotCoordinator, TransactionCoordinatorFenced
from broker.metadata import Metadata
from broker.metadata import transactions as table
from broker.metadata.database import Tx
from broker.metadata.groups import check_coordinator
from broker.metadata.image import INTERNAL, TRANSACTION_STATE, Image, Partition
from broker.metadata.rows import Coordinator, TransactionRow
from broker.metadata.transactions import Place
from broker.records.markers import Marker
from broker.transactions import state
from broker.transactions.delivery import Delivery
from broker.transactions.settings import TransactionSettings
from broker.transactions.state import IDLE, PREPARED, TransactionState

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_EXPIRE_S = 60.0


class Finishing:
    """The tasks and the duty of one broker."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        clock: Clock,
        broker_id: int,
        settings: TransactionSettings,
        delivery: Delivery,
        say: Callable[[str], None],
    ) -> None:
        self._metadata, self._clock, self._broker_id = metadata, clock, broker_id
        self._settings, self._delivery, self._say = settings, delivery, say
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        self._held: frozenset[tuple[int, int]] = frozenset()

    def start(self) -> None:
        """Follows the metadata and the clock."""
        self._metadata.subscribe(self._on_image)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        tasks = [*self._tasks.values(), *([self._watching] if self._watching is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._delivery.stop()

    def homes(self) -> list[Partition]:
        """The partitions of `__transaction_state` that this broker owns."""
        topic = self._metadata.image.topics.get(TRANSACTION_STATE)
        return [home for home in topic.partitions if home.owner == self._broker_id] if topic is not None else []

    def finish(self, transactional_id: str, coordinator: Coordinator) -> asyncio.Task[None]:
        """The task that ends this prepared transaction; it fails with nothing."""
        task = self._tasks.get(transactional_id)
        if task is None or task.done():
            task = asyncio.create_task(self._finish(transactional_id, coordinator))
            self._tasks[transactional_id] = task
            task.add_done_callback(lambda done: self._ended(transactional_id, done))
        return task

    def _ended(self, transactional_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(transactional_id) is task:
            del self._tasks[transactional_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"ending the transaction of {transactional_id}: {error!r}; trying again")

    async def _finish(self, transactional_id: str, coordinator: Coordinator) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                left = await self._round(transactional_id, coordinator)
            except (NotCoordinator, TransactionCoordinatorFenced):
                return
            except KafkaError as error:
                self._say(f"ending the transaction of {transactional_id}: {error}; trying again")
                left, pause_s = True, _LONGEST_PAUSE_S
            if not left:
                return
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _round(self, transactional_id: str, coordinator: Coordinator) -> bool:
        """Sends every marker; whether there is more to do."""

        def look(tx: Tx) -> tuple[TransactionRow | None, list[Place]]:
            check_coordinator(tx, coordinator)
            return table.load(tx, transactional_id), table.places(tx, transactional_id)

        row, places = await self._metadata.read(look)
        if row is None or row.state not in PREPARED:
            return False
        marker = Marker(
            producer_id=row.marker_id,
            producer_epoch=row.marker_epoch,
            coordinator_epoch=coordinator.epoch,
            commit=row.state == TransactionState.PREPARE_COMMIT,
        )
        if await self._delivery.deliver(marker, self._with_records(places)):
            return True
        now_ms = self._clock.wall_ms()

        def complete(tx: Tx) -> None:
            check_coordinator(tx, coordinator)
            found = table.load(tx, transactional_id)
            if found == row:
                table.save(tx, state.completed(row, now_ms))
                table.clear_places(tx, transactional_id)

        await self._metadata.write(complete)
        return False

    def _with_records(self, places: Sequence[Place]) -> list[Place]:
        """Without the internal topics: what a transaction has there was settled by the decision itself."""
        image = self._metadata.image
        internal = {topic.id for name in INTERNAL if (topic := image.topics.get(name)) is not None}
        return [place for place in places if place[0] not in internal]

    # -- the duty ----------------------------------------------------------------------------------------------------

    def _on_image(self, image: Image) -> None:
        held = frozenset((home.uid, home.epoch) for home in self.homes())
        if held != self._held:
            self._held = held
            self._due.set()

    async def _watch(self) -> None:
        expired_at = self._clock.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.look_s):
                    await self._due.wait()
            self._due.clear()
            homes = self.homes()
            if not homes:
                continue
            with contextlib.suppress(KafkaError):  # a store that is away is said by others, and looked at again
                await self._look(homes)
                if self._clock.monotonic() - expired_at > _EXPIRE_S:
                    expired_at = self._clock.monotonic()
                    before_ms = self._clock.wall_ms() - self._settings.expiration_ms
                    uids = [home.uid for home in homes]
                    await self._metadata.write(lambda tx, u=uids, b=before_ms: table.expire(tx, u, IDLE, b))  # type: ignore[misc]

    async def _look(self, homes: Sequence[Partition]) -> None:
        """Ends what is prepared, and what has taken too long."""
        of = {home.uid: Coordinator(uid=home.uid, owner=home.owner, epoch=home.epoch) for home in homes}
        now_ms = self._clock.wall_ms()
        left, overdue = await self._metadata.read(
            lambda tx: (table.in_states(tx, list(of), PREPARED), table.overdue(tx, list(of), now_ms))
        )
        for row in left:
            self.finish(row.transactional_id, of[row.coordinator_uid])
        for row in overdue:
            coordinator = of[row.coordinator_uid]
            if await self._abort(row, coordinator, now_ms):
                self._say(f"transaction of {row.transactional_id} aborted: open for over {row.timeout_ms} ms")
                self.finish(row.transactional_id, coordinator)

    async def _abort(self, row: TransactionRow, coordinator: Coordinator, now_ms: int) -> bool:
        """The decision to abort, unless something else has happened since the look. Its producer is fenced."""

        def work(tx: Tx) -> bool:
            check_coordinator(tx, coordinator)
            if table.load(tx, row.transactional_id) != row:
                return False
            fresh = lambda: table.new_producer_id(tx)  # noqa: E731
            table.save(tx, state.prepared(row, commit=False, bump=True, fresh_id=fresh, now_ms=now_ms))
            table.settle_offsets(tx, row.transactional_id, commit=False)
            return True

        try:
            return await self._metadata.write(work)
        except NotCoordinator:
            return False
