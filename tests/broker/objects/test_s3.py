"""The same promises on a real S3 API (moto): conditional puts, ranges, parts, pages, and a prefix of one cluster."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from broker.clock import SystemClock
from broker.objects import BadStore, ObjectStore, claim, open_store
from broker.objects.probe import MARKER, prove
from broker.objects.store import Exists, Missing, StoreUnavailable
from tests.faults.wire import Wire


class ShortWaits(SystemClock):
    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 20)


LARGE = bytes(range(256)) * (17 * 4096)


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def s3(moto: tuple[str, int], request: Any) -> Any:
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{moto[0]}:{moto[1]}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    bucket = request.node.name.replace("_", "-")[:60].strip("-")
    client.create_bucket(Bucket=bucket)
    client.bucket = bucket
    return client


@pytest.fixture
def wire(moto: tuple[str, int]) -> Iterator[Wire]:
    wire = Wire(*moto)
    yield wire
    wire.close()


@pytest.fixture
def opened(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ObjectStore]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": wire.url,
    }.items():
        monkeypatch.setenv(name, value)
    return lambda bucket: open_store(f"s3://{bucket}/prefix", clock=ShortWaits(), rng=random.Random(1))


@pytest.fixture
def store(s3: Any, opened: Callable[[str], ObjectStore]) -> ObjectStore:
    return opened(s3.bucket)


async def test_keeps_its_promises_on_s3(store: ObjectStore) -> None:
    await claim(store, "mine")
    with pytest.raises(BadStore, match="belongs to cluster mine"):
        await claim(store, "yours")
    await store.put("objects/00/a", b"0123456789", create=True)
    with pytest.raises(Exists):
        await store.put("objects/00/a", b"other", create=True)
    assert await store.get_range("objects/00/a", 2, 3) == b"234"
    assert await store.list("objects/") == [("objects/00/a", 10)]
    await store.delete("objects/00/a")
    with pytest.raises(Missing):
        await store.head("objects/00/a")


async def test_a_bucket_that_is_not_there_is_named(opened: Callable[[str], ObjectStore]) -> None:
    with pytest.raises(BadStore, match="s3://nowhere/prefix: there is no such bucket"):
        await claim(opened("nowhere"), "mine")


async def test_a_large_object_goes_up_in_parts_that_the_bill_counts(store: ObjectStore) -> None:
    await store.put("large", LARGE)
    assert await store.get("large") == LARGE
    assert store.meter.requests["multipart", "ok"] == 3 + 2
    assert store.meter.requests["put", "ok"] == 0
    assert store.meter.bytes["multipart", "out"] == len(LARGE)


async def test_a_condition_holds_for_a_large_object_too(store: ObjectStore) -> None:
    await store.put("large", LARGE, create=True)
    with pytest.raises(Exists):
        await store.put("large", b"other", create=True)
    assert store.meter.requests["multipart", "ok"] == 0


async def test_parts_of_an_upload_that_broke_are_not_left_behind(store: ObjectStore, s3: Any, wire: Wire) -> None:
    wire.cut_next(after_bytes=4 * 1024 * 1024)
    await store.put("large", LARGE)
    assert wire.cuts == 1
    assert store.meter.requests["multipart", "error"] > 0
    assert await store.get("large") == LARGE
    assert s3.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", []) == []


async def test_lists_in_pages_each_from_where_the_last_one_ended(store: ObjectStore) -> None:
    for number in range(5):
        await store.put(f"wal/{number}", b"x" * number)
    assert [list(page) async for page in store.pages("wal/", keys=2)] == [
        [("wal/0", 0), ("wal/1", 1)],
        [("wal/2", 2), ("wal/3", 3)],
        [("wal/4", 4)],
    ]
    assert store.meter.requests["list", "ok"] == 3


async def test_a_store_that_refuses_connections_is_unavailable_and_then_back(store: ObjectStore, wire: Wire) -> None:
    wire.refuse()
    with pytest.raises(StoreUnavailable, match="failed 10 times") as refusal:
        await store.delete("k")
    assert "\n" not in str(refusal.value)
    wire.mend()
    await store.put("k", b"v")
    assert await store.get("k") == b"v"


async def test_a_fit_store_passes_once_and_leaves_a_mark(store: ObjectStore) -> None:
    await prove(store, "mine", "token")
    assert await store.list("probe/") == [(MARKER, 4)]
    asked = store.meter.requests.total()
    await prove(store, "mine", "another")
    assert store.meter.requests.total() == asked + 1
