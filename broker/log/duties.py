"""What the WAL kinds need of the cluster's metadata, from SQL."""

from __future__ import annotations

from collections.abc import Collection

from broker.metadata import trims
from broker.metadata.database import Tx
from broker.metadata.store import Metadata
from broker.wal.base import SlotNeeds, WalError


class MetadataDuties:
    """Each call is a transaction of its own."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def verify(self, broker: int, epoch: int) -> None:
        if not await self._metadata.read_for_fence(lambda tx: trims.lives(tx, broker, epoch)):
            raise WalError(f"broker {broker} with epoch {epoch} was declared dead, or its id runs elsewhere")

    async def trim_point(self, broker: int, epoch: int) -> int:
        return await self._metadata.read(lambda tx: trims.trim_point(tx, broker, epoch))

    async def record_trim(self, broker: int, epoch: int, sequence: int) -> None:
        await self._metadata.write(lambda tx: trims.record_trim(tx, broker, epoch, sequence))

    async def slots_needed(self) -> SlotNeeds:
        return await self._metadata.read(_slots_needed)

    async def forget_trims(self, settled: Collection[tuple[int, int]]) -> None:
        await self._metadata.write(lambda tx: trims.forget(tx, settled))

    async def heart(self, broker: int) -> tuple[int, int] | None:
        return await self._metadata.read(lambda tx: trims.heart(tx, broker))


def _slots_needed(tx: Tx) -> SlotNeeds:
    newest, needed_from = trims.needed(tx)
    return SlotNeeds(newest_epoch=newest, needed_from=needed_from, recorded=trims.recorded(tx).keys())
