"""Objects in the bucket that no row knows: found by listing, a prefix at a time, deleted when that is certain (law 8).

1. Ids are never given out twice, and an object's row is there before its upload and until after its deletion. So an
   object that was listed, is accounted for by no row afterwards, and whose id is not above the newest, is what a late
   PUT left behind.
2. An id above the newest means that this metadata is an older copy: nothing is deleted from then on, and that is said.
3. What nobody knows is deleted only after it was unknown for a while by our own monotonic clock, so that a mistake
   elsewhere has time to be seen. A list that is stale costs time, never data.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from broker.clock import Clock
from broker.metadata import commits, compactions
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore
from broker.wal.kinds import Say

PREFIXES = 256
ROOT = "objects/"


def object_id_of(key: str) -> int:
    """The id in an object's key; 0, which no object has, for a key of another kind."""
    with suppress(ValueError):
        return int(key.rpartition("/")[2], 16)
    return 0


class Strangers:
    """One controller's memory of what it saw; a new controller begins anew."""

    def __init__(self, *, metadata: Metadata, store: ObjectStore, clock: Clock, patience_s: float, say: Say) -> None:
        self._metadata, self._store, self._clock, self._say = metadata, store, clock, say
        self._patience_s = patience_s
        self._since: dict[str, float] = {}
        """Unknown keys, and when each was first seen."""
        self._next = 0
        self.newer: str | None = None
        """A key above the metadata's newest id: nothing may be swept."""

    async def check_all(self) -> bool:
        """Whether this metadata is the newest there is; lists everything, a page at a time."""
        async for page in self._store.pages(ROOT):
            await self._is_above([key for key, _ in page])
        return self.newer is None

    async def reconcile(self, prefixes: int) -> int:
        """Looks through that many prefixes, the next ones in turn; how many objects were deleted."""
        deleted = 0
        for _ in range(min(prefixes, PREFIXES)):
            if self.newer is not None:
                break
            prefix = f"{ROOT}{self._next:02x}/"
            self._next = (self._next + 1) % PREFIXES
            async for page in self._store.pages(prefix):
                deleted += await self._page([key for key, _ in page])
        return deleted

    async def _page(self, keys: Sequence[str]) -> int:
        if await self._is_above(keys):
            return 0
        ids = {key: number for key in keys if (number := object_id_of(key))}
        known = await self._metadata.read(lambda tx: compactions.known(tx, ids.values()))
        now = self._clock.monotonic()
        deleted = 0
        for key, number in ids.items():
            if number in known:
                self._since.pop(key, None)
            elif now - self._since.setdefault(key, now) >= self._patience_s:
                await self._store.delete(key)
                del self._since[key]
                deleted += 1
        if deleted:
            self._say(f"deleted {deleted} objects that no row knows, such as one that a late upload left behind")
        return deleted

    async def _is_above(self, keys: Sequence[str]) -> bool:
        """The newest id is read after the list, so that what was uploaded in between is not taken for newer."""
        newest = await self._metadata.read(commits.newest_object)
        above = [key for key in keys if object_id_of(key) > newest]
        if above and self.newer is None:
            self.newer = above[0]
            self._say(
                f"the object store holds objects newer than this metadata (such as {above[0]}): the metadata was"
                " restored from an older copy, so nothing is swept"
            )
        return bool(above)
