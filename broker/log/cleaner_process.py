"""The broker's end of the cleaner's process (clean_worker.py): one question at a time, killed when it is left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from broker.errors import KafkaStorageError
from broker.log.clean_worker import FRAME


class CleanerFailed(KafkaStorageError):
    """The worker ended or gave no answer; the log is as it was."""


class CleanerProcess:
    """A running worker."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tell(self, kind: bytes, payload: bytes) -> None:
        """Sends a frame that has no answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(FRAME.pack(kind, len(payload)))
            self._process.stdin.write(payload)
            await self._process.stdin.drain()
        except OSError as error:
            raise CleanerFailed(await self._last_words()) from error

    async def ask(self, kind: bytes, payload: bytes = b"") -> bytes:
        """Sends a frame and waits for its answer."""
        assert self._process.stdout is not None
        await self.tell(kind, payload)
        try:
            _, size = FRAME.unpack(await self._process.stdout.readexactly(FRAME.size))
            return await self._process.stdout.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise CleanerFailed(await self._last_words()) from error

    async def _last_words(self) -> str:
        assert self._process.stderr is not None
        lines = (await self._process.stderr.read()).decode(errors="replace").strip().splitlines()
        return f"the cleaner's process ended: {lines[-1] if lines else 'it said nothing'}"


@asynccontextmanager
async def cleaner_process() -> AsyncIterator[CleanerProcess]:
    """Spawned, so that it inherits neither lock nor loop; gone when the block is left, however that is."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broker.log.clean_worker"), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        yield CleanerProcess(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
