"""Whether a store is fit, and whose it is: asked before a broker registers.

`claim` runs at every start: three small requests. `prove` tries everything else that the broker leans on, all of it
side by side, once in a cluster's life: a marker object says that it passed, so that a start serves within a second.
Delete `probe/passed` after the store itself was changed, and the next start proves it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from broker.objects.backend import PART_BYTES
from broker.objects.faults import BadStore, Exists, Missing, StoreUnavailable, first_line
from broker.objects.store import MULTIPART_BYTES, ObjectStore

MARKER = "probe/passed"
_DATA = bytes(range(256))
_LISTED = 3

Step = Callable[[ObjectStore, str], Awaitable[bool]]


async def claim(store: ObjectStore, cluster_id: str) -> None:
    """Claims the prefix for this cluster (law 8), and refuses a store that ignores conditions. BadStore otherwise."""
    key = "cluster-id"
    try:
        with suppress(Exists):
            await store.put(key, cluster_id.encode(), create=True)
    except Missing as error:
        raise BadStore(f"{store.url}: there is no such bucket; create it, or correct --objects") from error
    owner = (await store.get(key)).decode(errors="replace")
    if owner != cluster_id:
        raise BadStore(f"{store.url} belongs to cluster {owner}, this is {cluster_id}: give another --objects prefix")
    try:
        await store.put(key, cluster_id.encode(), create=True)
    except Exists:
        return
    raise BadStore(f"{store.url} ignores put-if-absent, so it cannot fence: use a store that honours If-None-Match")


async def prove(store: ObjectStore, cluster_id: str, token: str) -> None:
    """BadStore unless the store can do all that is asked of it; `token` keeps two brokers that start at once apart."""
    with suppress(Missing):
        if await store.get(MARKER) == cluster_id.encode():
            return
    room = f"probe/{token}/"
    await asyncio.gather(*(_try(store, what, step, room) for what, step in STEPS.items()))
    async for page in store.pages("probe/" + token):
        await asyncio.gather(*(store.delete(key) for key, _ in page))
    await store.put(MARKER, cluster_id.encode())


async def _try(store: ObjectStore, what: str, step: Step, room: str) -> None:
    hint = "use a store that does what S3 does"
    try:
        done = await step(store, room)
    except (BadStore, StoreUnavailable):
        raise
    except Exception as error:
        raise BadStore(f"{store.url} cannot {what}: {first_line(error)}; {hint}") from error
    if not done:
        raise BadStore(f"{store.url} does not {what} as it should; {hint}")


async def _gives_back(store: ObjectStore, room: str) -> bool:
    await store.put(room + "whole", _DATA)
    return await store.get(room + "whole") == _DATA and await store.head(room + "whole") == len(_DATA)


async def _gives_ranges(store: ObjectStore, room: str) -> bool:
    await store.put(room + "ranged", _DATA)
    return await store.get_range(room + "ranged", 17, 100) == _DATA[17:117]


async def _overwrites(store: ObjectStore, room: str) -> bool:
    await store.put(room + "twice", b"old")
    await store.put(room + "twice", _DATA)
    return await store.get(room + "twice") == _DATA


async def _keeps_the_first(store: ObjectStore, room: str) -> bool:
    await store.put(room + "first", _DATA, create=True)
    try:
        await store.put(room + "first", b"second", create=True)
    except Exists:
        return await store.get(room + "first") == _DATA
    return False


async def _lists_in_pages(store: ObjectStore, room: str) -> bool:
    keys = [f"{room}listed/{number}" for number in range(_LISTED)]
    await asyncio.gather(*(store.put(key, b"") for key in keys))
    pages = [[key for key, _ in page] async for page in store.pages(room + "listed", keys=_LISTED - 1)]
    return pages == [keys[:-1], keys[-1:]]


async def _takes_parts(store: ObjectStore, room: str) -> bool:
    size = max(MULTIPART_BYTES, PART_BYTES + 1)
    if not store.in_parts(size):
        return True
    await store.put(room + "large", bytes(size))
    return await store.get_range(room + "large", size - 1, 1) == b"\0"


async def _deletes(store: ObjectStore, room: str) -> bool:
    await store.put(room + "gone", _DATA)
    await store.delete(room + "gone")
    try:
        await store.head(room + "gone")
    except Missing:
        return True
    return False


STEPS: dict[str, Step] = {
    "give back what was put": _gives_back,
    "answer a range": _gives_ranges,
    "overwrite": _overwrites,
    "put only if absent": _keeps_the_first,
    "list in pages": _lists_in_pages,
    "take an object in parts": _takes_parts,
    "delete": _deletes,
}
