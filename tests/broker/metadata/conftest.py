"""Both kinds of metadata store, for one contract: every test that takes `url` runs on SQLite and on PostgreSQL."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.metadata import Metadata, Registration, members

Open = Callable[[], Awaitable[Metadata]]


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, new_store: Any) -> str:
    """An empty store of each kind."""
    made: str = await new_store(request.param)
    return made


@pytest.fixture
async def open_metadata(url: str) -> AsyncIterator[Open]:
    """Opens the store once more, as another broker would."""
    opened = []

    async def once_more() -> Metadata:
        opened.append(await Metadata.open(url, clock=SystemClock(), entropy=os.urandom))
        return opened[-1]

    yield once_more
    for store in opened:
        await store.close()


@pytest.fixture
async def metadata(open_metadata: Open) -> Metadata:
    """A store with three brokers in three zones."""
    store = await open_metadata()
    for broker in range(3):
        await store.change(lambda tx, b=broker: members.register(tx, registration(b), 0))
    return store


def registration(broker: int, **given: Any) -> Registration:
    told = {
        "id": broker,
        "listeners": {"PLAINTEXT": ("127.0.0.1", 9092 + broker)},
        "http": "",
        "zone": "abc"[broker % 3],
        "spot": False,
        "version": "0",
        "host_id": "here",
        "wal_url": f"file:///wal/{broker}",
    }
    return Registration(**{**told, **given})
