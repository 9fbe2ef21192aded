"""What each kind of store does, without retries; and all kinds but the local directory, through `obstore`.

`obstore`'s own retries are off, so that the meter sees every request. A multipart upload that fails is aborted by
`obstore`; what a kill leaves behind is for the bucket's own rule on incomplete uploads (docs/config.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import obstore

from broker.objects.layout import Blob

Listed = tuple[str, int]
"""(key, size in bytes)."""

PART_BYTES = 8 * 1024 * 1024
PARTS_IN_FLIGHT = 4


class Backend(Protocol):
    """One request each, to its end or to an exception."""

    patience_s: float
    """How long a small request may take before it is tried again."""
    multipart: bool
    """Whether large objects should be uploaded in parts."""

    async def put(self, key: str, blob: Blob, *, create: bool) -> None: ...
    async def put_parts(self, key: str, blob: Blob) -> None: ...
    async def get(self, key: str) -> bytes: ...
    async def get_range(self, key: str, start: int, length: int) -> bytes: ...
    async def head(self, key: str) -> int: ...
    async def delete(self, key: str) -> None: ...
    async def page(self, prefix: str, after: str, limit: int) -> Sequence[Listed]: ...


class ObstoreBackend:
    """S3 and its kin, and memory."""

    patience_s = 5.0

    def __init__(self, store: Any, *, multipart: bool = False) -> None:
        self._store = store
        self.multipart = multipart

    async def put(self, key: str, blob: Blob, *, create: bool) -> None:
        mode: Any = "create" if create else "overwrite"
        await obstore.put_async(self._store, key, await _joined(blob), mode=mode, use_multipart=False)

    async def put_parts(self, key: str, blob: Blob) -> None:
        """In parts, several at a time; the object is there after the last step, or not at all."""
        data = await _joined(blob)
        await obstore.put_async(
            self._store, key, data, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=PARTS_IN_FLIGHT
        )

    async def get(self, key: str) -> bytes:
        answer = await obstore.get_async(self._store, key)
        return _whole(bytes(await answer.bytes_async()), int(answer.meta["size"]), key)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        return bytes(await obstore.get_range_async(self._store, key, start=start, length=length))

    async def head(self, key: str) -> int:
        return int((await obstore.head_async(self._store, key))["size"])

    async def delete(self, key: str) -> None:
        await obstore.delete_async(self._store, key)

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[Listed]:
        """The next keys in order, `limit` of them unless these are the last."""
        async for page in obstore.list(self._store, prefix=prefix, offset=after or None, chunk_size=limit):
            return [(str(item["path"]), int(item["size"])) for item in page]
        return []


async def _joined(blob: Blob) -> bytes:
    """For a client that takes bytes only."""
    if len(blob.pieces) == 1:
        return bytes(blob.pieces[0])
    return await asyncio.get_running_loop().run_in_executor(None, blob.joined)


def _whole(data: bytes, size: int, key: str) -> bytes:
    if len(data) != size:
        raise ConnectionError(f"{key}: {len(data)} of {size} bytes came")
    return data
