"""An API's version is imported and compiled before its first request is read: 50 ms, so in a thread (law 14)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from broker.api.registry import find
from broker.errors import MalformedFrame

_KEY_AND_VERSION = struct.Struct(">hh")
"""What every request begins with."""


class Loading:
    """Of one connection, which reads no further meanwhile; then `go_on` is called, or `give_up`."""

    def __init__(self, go_on: Callable[[], None], give_up: Callable[[MalformedFrame], None]) -> None:
        self._go_on, self._give_up = go_on, give_up
        self._busy = False

    def is_done(self, frame: memoryview) -> bool:
        """Whether the request can be read now, if only to say that there is no such thing."""
        if self._busy:
            return False
        key, version = _KEY_AND_VERSION.unpack_from(frame)
        api = find(key)
        if api is None or not api.low <= version <= api.high or api.is_loaded(version):
            return True
        self._busy = True
        asyncio.get_running_loop().run_in_executor(None, api.load, version).add_done_callback(self._loaded)
        return False

    def _loaded(self, done: asyncio.Future[None]) -> None:
        self._busy = False
        if done.cancelled() or (error := done.exception()) is None:
            self._go_on()
        else:
            self._give_up(MalformedFrame(f"an API that cannot be loaded: {error}"))
