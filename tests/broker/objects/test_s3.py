"""The same promises on a real S3 API (moto): conditional puts, ranges, and a prefix that belongs to one cluster."""

import random
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from broker.clock import SystemClock
from broker.objects import BadStore, ObjectStore, claim, open_store
from broker.objects.store import Exists, Missing


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="bucket")
    yield open_store("s3://bucket/prefix", clock=SystemClock(), rng=random.Random(1))
    server.stop()


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


async def test_a_bucket_that_is_not_there_is_named(store: ObjectStore) -> None:
    elsewhere = open_store("s3://nowhere/prefix", clock=SystemClock(), rng=random.Random(1))
    with pytest.raises(BadStore, match="s3://nowhere/prefix: there is no such bucket"):
        await claim(elsewhere, "mine")
