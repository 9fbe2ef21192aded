"""Each fault of the proxy, before a real S3 API and behind the broker's own store: it happens, and it is counted when
a client comes back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from broker.clock import SystemClock
from broker.objects import ObjectStore, open_store
from broker.objects.store import Exists, StoreUnavailable
from tests.chaos.proxy import Seen, Weather
from tests.chaos.services import BUCKET, S3, FaultyStore, s3_environment
from tests.chaos.workload import wait_until


@pytest.fixture(scope="module")
def origin() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def proxy(origin: S3) -> Iterator[FaultyStore]:
    with FaultyStore(origin.port, seed=1) as running:
        yield running


@pytest.fixture
def store(proxy: FaultyStore, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ObjectStore:
    for name, value in s3_environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    url = f"s3://{BUCKET}/{request.node.name}"
    return open_store(url, clock=SystemClock(), rng=random.Random(1))


def counted(seen: Seen, kind: str) -> tuple[int, int]:
    return seen.injected[kind], seen.observed[kind]


async def test_passes_everything_on_in_good_weather(proxy: FaultyStore, store: ObjectStore) -> None:
    await store.put("a/1", b"x" * 100_000)
    await store.put("b/1", b"")
    assert await store.get("a/1") == b"x" * 100_000
    assert await store.get_range("a/1", 10, 5) == b"x" * 5
    assert await store.head("a/1") == 100_000
    await store.delete("b/1")
    assert await store.list("") == [("a/1", 100_000)]
    assert proxy.seen().injected == {}


async def test_a_put_that_took_effect_without_an_answer_is_met_again_by_the_retry(
    proxy: FaultyStore, store: ObjectStore
) -> None:
    proxy.set(Weather(ambiguous=1.0))
    put = asyncio.create_task(store.put("a/1", b"x"))
    await asyncio.to_thread(wait_until, lambda: proxy.seen().injected["ambiguous"] > 0, 10)
    assert counted(proxy.seen(), "ambiguous") == (1, 0)
    proxy.set(Weather())
    await put
    assert counted(proxy.seen(), "ambiguous") == (1, 1)


async def test_a_conditional_put_that_took_effect_without_an_answer_finds_its_key_taken(
    proxy: FaultyStore, store: ObjectStore
) -> None:
    proxy.set(Weather(ambiguous=1.0))
    with pytest.raises(Exists):
        await store.put("a/1", b"x", create=True)
    assert counted(proxy.seen(), "ambiguous") == (1, 1)


async def test_a_conflict_that_was_none_leaves_nothing_behind(proxy: FaultyStore, store: ObjectStore) -> None:
    proxy.set(Weather(conflicted=1.0))
    with pytest.raises(Exists):
        await store.put("a/1", b"x", create=True)
    proxy.set(Weather())
    assert await store.list("") == []
    await store.put("a/1", b"x", create=True)
    injected, observed = counted(proxy.seen(), "conflicted")
    assert injected >= 1 and observed == injected


async def test_a_refused_request_did_nothing(proxy: FaultyStore, store: ObjectStore) -> None:
    proxy.set(Weather(refused=1.0))
    put = asyncio.create_task(store.put("a/1", b"x"))
    await asyncio.to_thread(wait_until, lambda: proxy.seen().injected["refused"] > 0, 10)
    put.cancel()
    proxy.set(Weather())
    assert await store.list("") == []


async def test_a_truncated_answer_is_shorter_or_an_error_and_never_made_up(
    proxy: FaultyStore, store: ObjectStore
) -> None:
    data = bytes(range(256)) * 100
    await store.put("a/1", data)
    proxy.set(Weather(truncated=1.0))
    for _ in range(4):
        try:
            part = await store.get("a/1")
        except StoreUnavailable:
            continue
        assert len(part) < len(data) and data.startswith(part)
    assert proxy.seen().injected["truncated"] >= 4


async def test_a_stale_list_leaves_out_what_was_just_put(proxy: FaultyStore, store: ObjectStore) -> None:
    await store.put("a/1", b"x")
    proxy.set(Weather(stale_s=60))
    assert await store.list("") == []
    proxy.set(Weather())
    assert await store.list("") == [("a/1", 1)]
    assert counted(proxy.seen(), "stale") == (1, 1)
