"""The object store: durable puts, put-if-absent, retries that give up, and a meter that counts what a bill would."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.objects import BadStore, ObjectStore, StoreUnavailable, claim, open_store
from broker.objects.store import Exists, Missing, ObstoreBackend


class NoWaiting(SystemClock):
    async def sleep(self, seconds: float) -> None:
        return


class Faulty(ObstoreBackend):
    """Fails the next `failures` requests, before or after they took effect."""

    def __init__(self, store: Any, failures: int) -> None:
        super().__init__(store)
        self.failures = failures

    async def put(self, key: str, data: bytes, *, create: bool) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("503 Slow Down")
        await super().put(key, data, create=create)


@pytest.fixture(params=["file", "memory"])
def store(request: Any, tmp_path: Path) -> ObjectStore:
    url = f"file://{tmp_path}/objects" if request.param == "file" else "memory://"
    return open_store(url, clock=NoWaiting(), rng=random.Random(1))


async def test_gives_back_what_was_put(store: ObjectStore) -> None:
    await store.put("objects/01/a", b"0123456789")
    assert await store.get("objects/01/a") == b"0123456789"
    assert await store.get_range("objects/01/a", 2, 3) == b"234"
    assert await store.head("objects/01/a") == 10
    assert await store.list("objects/") == [("objects/01/a", 10)]
    await store.delete("objects/01/a")
    await store.delete("objects/01/a")
    with pytest.raises(Missing):
        await store.get("objects/01/a")


async def test_put_if_absent_is_refused_when_the_key_is_there(store: ObjectStore) -> None:
    await store.put("k", b"first", create=True)
    with pytest.raises(Exists):
        await store.put("k", b"second", create=True)
    assert await store.get("k") == b"first"


async def test_a_prefix_belongs_to_one_cluster(store: ObjectStore) -> None:
    await claim(store, "mine")
    await claim(store, "mine")
    with pytest.raises(BadStore, match="belongs to cluster mine"):
        await claim(store, "yours")


async def test_syncs_the_file_before_its_name_and_the_directory_after(tmp_path: Path, monkeypatch: Any) -> None:
    store = open_store(f"file://{tmp_path}", clock=NoWaiting(), rng=random.Random(1))
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched(fd: int) -> None:
        events.append("dir" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        fsync(fd)

    def renamed(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(Path, "replace", renamed)
    await store.put("objects/01/a", b"x")
    assert events[:3] == ["file", "rename", "dir"]
    assert events.count("dir") >= 3, "the new directories' own names must be durable too"


async def test_retries_and_meters_each_try() -> None:
    backend = Faulty(__import__("obstore").store.MemoryStore(), failures=2)
    store = ObjectStore("memory://", backend, NoWaiting(), random.Random(1))
    await store.put("k", b"abc")
    assert store.meter.requests["put", "error"] == 2
    assert store.meter.requests["put", "ok"] == 1
    assert store.meter.bytes["put", "out"] == 3


async def test_gives_up_with_a_retriable_error() -> None:
    backend = Faulty(__import__("obstore").store.MemoryStore(), failures=99)
    store = ObjectStore("memory://", backend, NoWaiting(), random.Random(1))
    with pytest.raises(StoreUnavailable, match="503 Slow Down"):
        await store.put("k", b"abc")


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "/tmp/x"])
def test_a_url_of_another_kind_is_refused_with_what_to_give(url: str) -> None:
    with pytest.raises(BadStore, match="file:///directory"):
        open_store(url, clock=NoWaiting(), rng=random.Random(1))
