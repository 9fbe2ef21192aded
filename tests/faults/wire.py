"""A TCP proxy whose line can be cut: in front of a store, it makes the store absent in the ways that stores are.

refuse   nobody listens: every connection is refused, those that were open are reset
silent   connections are taken, and nothing ever comes back
cut      the next connection is reset when it has carried so many bytes
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

CHUNK = 256 * 1024


class Wire:
    """Runs in a thread of its own, so that whoever it serves may block."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False
        self._cut_after: int | None = None
        self._server: asyncio.Server | None = None
        self.port = 0
        self.cuts = 0
        """Lines that were cut by `cut_next`: a fault that did not happen proves nothing."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._do(self._listen())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self) -> None:
        self._do(self._refuse())

    def silent(self) -> None:
        self._silent = True

    def cut_next(self, after_bytes: int) -> None:
        self._cut_after = after_bytes

    def mend(self) -> None:
        """Everything as it should be; connections that were made in silence are reset."""
        self._silent, self._cut_after = False, None
        self._do(self._mend())

    def close(self) -> None:
        self._do(self._refuse())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _mend(self) -> None:
        if self._server is None:
            await self._listen()
        else:
            self._reset_all()

    def _reset_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._to, limit=CHUNK)
            self._open.add(back)
            with suppress(ConnectionError):
                await asyncio.gather(self._pump(reader, back, (writer, back)), self._pump(there, writer, None))
            self._open.discard(back)
            back.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cut: tuple[asyncio.StreamWriter, asyncio.StreamWriter] | None,
    ) -> None:
        carried = 0
        while data := await reader.read(CHUNK):
            carried += len(data)
            if cut is not None and self._cut_after is not None and carried > self._cut_after:
                self._cut_after = None
                self.cuts += 1
                for one in cut:
                    one.transport.abort()
                return
            if self._silent:
                continue
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.close()
