"""The object store behind thin wrappers, one per job: the store itself, the meter, and retries on top.

1. `put` returns after the object is durable. `obstore` issues no fsync on a local directory, so there we write, sync
   the file, give it its name, and sync the directory ourselves (law 1).
2. `put` with `create=True` fails with Exists when the key is there, on every kind; nothing rests on e-tags.
3. The meter counts what went to the store, retries included: that is what a bill would say.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError, PermissionDeniedError, PreconditionError

from broker.clock import Clock
from broker.errors import KafkaStorageError

Result = TypeVar("Result")


class Rng(Protocol):
    """Randomness, handed in: a `random.Random` made at the edge."""

    def uniform(self, a: float, b: float) -> float: ...


class StoreUnavailable(KafkaStorageError):
    """The store did not do it after all tries; retriable."""


class Missing(KafkaStorageError):
    """There is no such object."""


class Exists(Exception):
    """The key is taken."""


class BadStore(Exception):
    """The URL or the store itself is unfit; the message says what to change."""


@dataclass(kw_only=True)
class Meter:
    """What crossed the store's boundary, for telemetry and for the bill."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(operation, status) to count; status is ok, missing, exists or error."""
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(operation, in|out) to bytes; in is from the store."""
    on_request: Callable[[str, str, float], None] = lambda operation, status, seconds: None
    """Told operation, status and seconds of each."""


class Backend(Protocol):
    """What each kind of store does, without retries."""

    async def put(self, key: str, data: bytes, *, create: bool) -> None: ...
    async def get(self, key: str) -> bytes: ...
    async def get_range(self, key: str, start: int, length: int) -> bytes: ...
    async def head(self, key: str) -> int: ...
    async def delete(self, key: str) -> None: ...
    def list(self, prefix: str) -> AsyncIterator[tuple[str, int]]: ...


class ObstoreBackend:
    """S3 and its kin, and memory, through `obstore`; its own retries are off, so that the meter sees every request."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def put(self, key: str, data: bytes, *, create: bool) -> None:
        await obstore.put_async(self._store, key, data, mode="create" if create else "overwrite")

    async def get(self, key: str) -> bytes:
        return bytes(await (await obstore.get_async(self._store, key)).bytes_async())

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        return bytes(await obstore.get_range_async(self._store, key, start=start, length=length))

    async def head(self, key: str) -> int:
        return int((await obstore.head_async(self._store, key))["size"])

    async def delete(self, key: str) -> None:
        await obstore.delete_async(self._store, key)

    async def list(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        async for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
            for item in page:
                yield item["path"], item["size"]


class LocalBackend(ObstoreBackend):
    """A directory: reads through `obstore`, writes that survive a power cut."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        super().__init__(obstore.store.LocalStore(str(root)))
        self._root = root

    async def put(self, key: str, data: bytes, *, create: bool) -> None:
        await asyncio.get_running_loop().run_in_executor(None, put_durably, self._root / key, data, create)


def put_durably(path: Path, data: bytes, create: bool) -> None:
    """File, then name, then directory: each durable before the next."""
    made = _make_directories(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if create:
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise Exists(f"{path} exists") from None
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    for directory in {path.parent, *made}:
        _sync_directory(directory)


def _make_directories(directory: Path) -> list[Path]:
    """Makes what is missing; the parents whose entries must be synced for that."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
    return [one.parent for one in missing]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


TRIES = 6
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0


class ObjectStore:
    """What the broker uses: every operation metered and retried with full jitter."""

    def __init__(self, url: str, backend: Backend, clock: Clock, rng: Rng) -> None:
        self.url = url
        self.meter = Meter()
        self._backend = backend
        self._clock = clock
        self._rng = rng

    async def put(self, key: str, data: bytes, *, create: bool = False) -> None:
        """Durable when it returns. Exists when `create` and the key is taken."""
        await self._do("put", "out", len(data), key, lambda: self._backend.put(key, data, create=create))

    async def get(self, key: str) -> bytes:
        return await self._do("get", "in", None, key, lambda: self._backend.get(key))

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        return await self._do("get", "in", None, key, lambda: self._backend.get_range(key, start, length))

    async def head(self, key: str) -> int:
        """The size in bytes; Missing when there is no such object."""
        return await self._do("head", "in", 0, key, lambda: self._backend.head(key))

    async def delete(self, key: str) -> None:
        """Gone when it returns, also when it was not there."""
        try:
            await self._do("delete", "out", 0, key, lambda: self._backend.delete(key))
        except Missing:
            return

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """(key, size) of everything under `prefix`, page after page."""

        async def pages() -> list[tuple[str, int]]:
            return [item async for item in self._backend.list(prefix)]

        return await self._do("list", "in", 0, prefix, pages)

    async def _do(
        self, operation: str, direction: str, size: int | None, key: str, work: Callable[[], Awaitable[Result]]
    ) -> Result:
        for attempt in range(TRIES):
            begun = self._clock.monotonic()
            try:
                result = await work()
            except Exception as error:
                final = _final(error, key)
                self._count(operation, _status(final), begun)
                if final is not None:
                    raise final from error
                if attempt == TRIES - 1:
                    raise StoreUnavailable(f"{operation} {key} at {self.url} failed {TRIES} times: {error}") from error
                longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
                await self._clock.sleep(self._rng.uniform(0, longest))
            else:
                self._count(operation, "ok", begun)
                self.meter.bytes[operation, direction] += size if size is not None else len(result)  # type: ignore[arg-type]
                return result
        raise AssertionError("unreachable: the last try returns or raises")

    def _count(self, operation: str, status: str, begun: float) -> None:
        self.meter.requests[operation, status] += 1
        self.meter.on_request(operation, status, self._clock.monotonic() - begun)


def _final(error: Exception, key: str) -> Exception | None:
    """What no retry can change, as our own exception; None for everything else."""
    if isinstance(error, FileNotFoundError | NotFoundError):
        return Missing(f"no object {key}")
    if isinstance(error, Exists | AlreadyExistsError | PreconditionError):
        return Exists(f"{key} exists")
    if isinstance(error, PermissionError | PermissionDeniedError):
        return BadStore(f"{key}: permission denied; check the credentials and the path")
    return None


def _status(final: Exception | None) -> str:
    return {Missing: "missing", Exists: "exists"}.get(type(final), "error") if final else "error"


def open_store(url: str, *, clock: Clock, rng: Rng) -> ObjectStore:
    """A store at file:///directory, s3://bucket/prefix (credentials and endpoint from the environment) or memory://."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("file", "s3", "memory"):
        raise BadStore(f"object store {url}: give file:///directory, s3://bucket/prefix or memory://")
    if scheme == "file":
        return ObjectStore(url, LocalBackend(Path(unquote(rest))), clock, rng)
    if scheme == "memory":
        return ObjectStore(url, ObstoreBackend(obstore.store.MemoryStore()), clock, rng)
    path, _, query = rest.partition("?")
    bucket, _, prefix = path.partition("/")
    options: dict[str, Any] = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
    if os.environ.get("AWS_ENDPOINT_URL", options.get("endpoint", "")).startswith("http://"):
        options.setdefault("client_options", {"allow_http": True})
    store = obstore.store.S3Store(bucket, prefix=prefix or None, retry_config={"max_retries": 0}, **options)
    return ObjectStore(url, ObstoreBackend(store), clock, rng)


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
