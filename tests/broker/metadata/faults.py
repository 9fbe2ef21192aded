"""Ways to lose a metadata store: its directory gone, its connections cut, an answer that never arrives; and processes
that write to one.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol


class Store(Protocol):
    url: str

    async def leave(self) -> None:
        """Makes the store unreachable for writers."""

    async def come_back(self) -> None: ...


class MissingDirectory:
    """A SQLite file whose directory is moved aside."""

    def __init__(self, path: Path) -> None:
        self._directory = path / "store"
        self._aside = path / "aside"
        self.url = f"sqlite://{self._directory}/metadata.db"

    async def leave(self) -> None:
        self._directory.rename(self._aside)

    async def come_back(self) -> None:
        self._aside.rename(self._directory)


class Wire:
    """A socket in front of PostgreSQL's that can be cut."""

    def __init__(self, url: str) -> None:
        self._directory = tempfile.mkdtemp(prefix="w", dir="/tmp")
        found = re.search(r"host=([^&]+)", url)
        assert found is not None
        self._server_socket = f"{found[1]}/.s.PGSQL.5432"
        self.url = url.replace(found[1], self._directory)
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.lose_commits = 0
        """How many more COMMITs are carried out without the client being told."""
        self.commits_lost = 0

    async def come_back(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, f"{self._directory}/.s.PGSQL.5432")

    async def leave(self) -> None:
        assert self._server is not None
        self._server.close()
        with suppress(FileNotFoundError):
            os.unlink(f"{self._directory}/.s.PGSQL.5432")
        self.cut()

    def cut(self) -> None:
        """Ends every connection; new ones may be made."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        await self.leave()
        os.rmdir(self._directory)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        self._writers += [writer, server_writer]
        with suppress(ConnectionError):
            await asyncio.gather(self._ask(reader, server_writer, writer), self._answer(server_reader, writer))

    async def _ask(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if b"COMMIT\0" in data and self.lose_commits:
                self.lose_commits -= 1
                self.commits_lost += 1
                client.transport.abort()
            server.write(data)
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            client.write(data)
        client.close()


def writer(url: str, program: str) -> "subprocess.Popen[str]":
    """A process of its own that opens the store at `url` as `store` and runs `program`."""
    lines = "\n".join(f"    {line}" for line in program.strip().splitlines())
    text = f"""
import asyncio, os, sys, time
from broker.clock import SystemClock
from broker.metadata import Metadata

async def main():
    store = await Metadata.open({url!r}, clock=SystemClock(), entropy=os.urandom)
{lines}
    await store.close()

asyncio.run(main())
"""
    return subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def said_by(process: "subprocess.Popen[str]") -> Any:
    """Its next line."""
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()
