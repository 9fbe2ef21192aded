"""The object store: durable puts, put-if-absent, retries that give up, and a meter that counts what a bill would."""

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import obstore
import pytest

from broker.clock import SystemClock
from broker.objects import BadStore, ObjectStore, StoreUnavailable, claim, open_store
from broker.objects.faults import Damaged
from broker.objects.probe import MARKER, prove
from broker.objects.store import Exists, Missing, ObstoreBackend


class NoWaiting(SystemClock):
    async def sleep(self, seconds: float) -> None:
        return


class Faulty(ObstoreBackend):
    """Fails the next `failures` puts and pages, cuts the next `short` ranges, and never answers the next `hangs`."""

    patience_s = 60.0

    def __init__(self, failures: int = 0, *, short: int = 0, hangs: int = 0) -> None:
        super().__init__(obstore.store.MemoryStore())
        self.failures, self.short, self.hangs = failures, short, hangs
        if hangs:
            self.patience_s = 0.05

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        if self.hangs:
            self.hangs -= 1
            await asyncio.Event().wait()
        data = await super().get_range(key, start, length)
        if self.short:
            self.short -= 1
            return data[:-1]
        return data

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("reset in the middle of a page")
        return await super().page(prefix, after, limit)

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


async def test_a_temporary_file_of_another_process_is_never_written_into(tmp_path: Path, monkeypatch: Any) -> None:
    """Two containers may have one pid and one directory: then a slot could get the bytes of a fence."""
    store = open_store(f"file://{tmp_path}", clock=NoWaiting(), rng=random.Random(1))
    numbers = iter([7, 8])
    monkeypatch.setattr("broker.objects.local._NUMBERS", numbers)
    others = tmp_path / f".k.{os.getpid()}.7.tmp"
    others.write_bytes(b"not ours")
    await store.put("k", b"ours", create=True)
    assert (others.read_bytes(), await store.get("k")) == (b"not ours", b"ours")


async def test_retries_and_meters_each_try() -> None:
    backend = Faulty(failures=2)
    store = ObjectStore("memory://", backend, NoWaiting(), random.Random(1))
    await store.put("k", b"abc")
    assert store.meter.requests["put", "error"] == 2
    assert store.meter.requests["put", "ok"] == 1
    assert store.meter.bytes["put", "out"] == 3


async def test_gives_up_with_a_retriable_error() -> None:
    backend = Faulty(failures=99)
    store = ObjectStore("memory://", backend, NoWaiting(), random.Random(1))
    with pytest.raises(StoreUnavailable, match="503 Slow Down"):
        await store.put("k", b"abc")


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "/tmp/x"])
def test_a_url_of_another_kind_is_refused_with_what_to_give(url: str) -> None:
    with pytest.raises(BadStore, match="file:///directory"):
        open_store(url, clock=NoWaiting(), rng=random.Random(1))


async def test_an_answer_that_is_cut_short_is_asked_for_again() -> None:
    store = ObjectStore("memory://", Faulty(short=2), NoWaiting(), random.Random(1))
    await store.put("k", b"0123456789")
    assert await store.get_range("k", 2, 5) == b"23456"
    assert store.meter.requests["get", "error"] == 2


async def test_an_answer_that_fails_its_check_is_asked_for_again_and_not_for_ever() -> None:
    store = ObjectStore("memory://", Faulty(), NoWaiting(), random.Random(1))
    await store.put("k", b"0123456789")
    seen: list[bytes] = []

    def check(data: bytes) -> None:
        seen.append(data)
        if len(seen) < 3 or len(seen) > 3:
            raise Damaged("another checksum")

    assert await store.get_range("k", 0, 3, check=check) == b"012"
    with pytest.raises(Damaged, match="another checksum"):
        await store.get_range("k", 0, 3, check=check)
    assert len(seen) == 3 + 4


async def test_a_request_that_is_never_answered_is_given_up_and_asked_again() -> None:
    store = ObjectStore("memory://", Faulty(hangs=1), NoWaiting(), random.Random(1))
    await store.put("k", b"0123456789")
    async with asyncio.timeout(30):
        assert await store.get_range("k", 0, 3) == b"012"


class Slow(Faulty):
    """Takes its time, the same for every try."""

    patience_s = 0.05

    async def put(self, key: str, data: bytes, *, create: bool) -> None:
        await asyncio.sleep(0.12)
        await super().put(key, data, create=create)


async def test_a_slow_line_gets_more_time_and_is_not_taken_for_an_absent_store() -> None:
    store = ObjectStore("memory://", Slow(), NoWaiting(), random.Random(1))
    await store.put("k", b"abc")
    assert store.meter.requests["put", "error"] >= 2, "0.05 s and 0.1 s were too little"
    assert await store.get("k") == b"abc"


class Winding(NoWaiting):
    """Each sleep moves the hand by what was asked; nobody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_tries_wait_longer_and_longer_with_full_jitter() -> None:
    clock = Winding()
    store = ObjectStore("memory://", Faulty(failures=99), clock, random.Random(1))
    with pytest.raises(StoreUnavailable, match="failed 10 times"):
        await store.put("k", b"abc")
    assert 1.0 < clock.now < 0.05 + 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3 * 2.0


async def test_a_page_that_breaks_is_asked_for_again_and_nothing_comes_twice(store: ObjectStore) -> None:
    backend = Faulty()
    broken = ObjectStore("memory://", backend, NoWaiting(), random.Random(1))
    for each in (broken, store):
        for number in (3, 1, 2, 0):
            await each.put(f"wal/{number}", b"x")
    found = []
    async for page in broken.pages("wal/", keys=2):
        found += [key for key, _ in page]
        backend.failures = 1
    assert found == ["wal/0", "wal/1", "wal/2", "wal/3"]
    assert [[key for key, _ in page] async for page in store.pages("wal/", keys=3)] == [found[:3], found[3:]]
    assert [[key for key, _ in page] async for page in store.pages("wal/", after="wal/2")] == [["wal/3"]]


async def test_a_half_written_file_is_never_listed(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}", clock=NoWaiting(), rng=random.Random(1))
    await store.put("objects/a", b"x")
    (tmp_path / "objects" / ".b.77.0.tmp").write_bytes(b"half")
    assert await store.list("objects/") == [("objects/a", 1)]


async def test_a_fit_store_passes_the_probe_and_keeps_only_the_mark(store: ObjectStore) -> None:
    await asyncio.gather(prove(store, "mine", "one"), prove(store, "mine", "two"))
    assert await store.list("probe/") == [(MARKER, 4)]


class Lawless(ObstoreBackend):
    """Takes conditions and ignores them."""

    def __init__(self) -> None:
        super().__init__(obstore.store.MemoryStore())

    async def put(self, key: str, data: bytes, *, create: bool) -> None:
        await super().put(key, data, create=False)


class Unsorted(ObstoreBackend):
    """Lists whatever it likes first, like a store that has no order of keys."""

    def __init__(self) -> None:
        super().__init__(obstore.store.MemoryStore())

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        return list(reversed(await super().page(prefix, "", 1000)))[:limit]


@pytest.mark.parametrize(
    ("backend", "lack"), [(Lawless, "put only if absent"), (Unsorted, "list in pages")], ids=["lawless", "unsorted"]
)
async def test_an_unfit_store_is_refused_in_one_line(backend: Any, lack: str) -> None:
    store = ObjectStore("memory://", backend(), NoWaiting(), random.Random(1))
    with pytest.raises(BadStore, match=f"memory:// (does not|cannot) {lack}") as refusal:
        await prove(store, "mine", "token")
    assert "\n" not in str(refusal.value)


async def test_a_store_that_ignores_conditions_cannot_be_claimed() -> None:
    store = ObjectStore("memory://", Lawless(), NoWaiting(), random.Random(1))
    with pytest.raises(BadStore, match="ignores put-if-absent"):
        await claim(store, "mine")
