"""Whether bucket and metadata agree: no object that nobody knows, none that somebody needs and that is gone.

The metadata is read before and after the list, so that what happens meanwhile is no finding: an object counts as
missing only when it was needed at both times, and as an orphan only when no row accounts for it afterwards. What is
prepared or marked has a time to live (law 8); past it, it is an orphan that the sweeper has not deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.clock import Clock
from broker.log.reader import object_key
from broker.log.strangers import ROOT, object_id_of
from broker.metadata import compactions
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Keys, in order; both empty when all is well."""

    orphans: tuple[str, ...]
    missing: tuple[str, ...]
    live: int
    """Objects that ranges point at."""
    waiting: int
    """Prepared or marked ones whose time is not over."""

    @property
    def clean(self) -> bool:
        return not self.orphans and not self.missing


async def audit(
    metadata: Metadata, store: ObjectStore, *, clock: Clock, prepared_ttl_s: float = 600.0, marked_ttl_s: float = 600.0
) -> Audit:
    """Lists the whole bucket: for tests, and for an admin who asks."""
    needed_before = await metadata.read(compactions.needed)
    listed = {object_id_of(key) async for page in store.pages(ROOT) for key, _ in page}
    needed = await metadata.read(compactions.needed)
    rows = await metadata.read(compactions.states)
    now_ms = clock.wall_ms()
    horizon = {"prepared": now_ms - prepared_ttl_s * 1000, "marked": now_ms - marked_ttl_s * 1000}
    waiting = {number for number, (state, at_ms) in rows.items() if at_ms >= horizon.get(state, now_ms + 1)}
    orphans = listed - needed - waiting
    missing = (needed_before & needed) - listed
    return Audit(
        orphans=tuple(sorted(map(object_key, orphans))),
        missing=tuple(sorted(map(object_key, missing))),
        live=len(needed),
        waiting=len(waiting),
    )
