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
    """Of one connection, which reads no further meanwhile."""

    def __init__(self) -> None:
        self._busy = False

    def is_done(self, frame: memoryview, go_on: Callable[[], None], give_up: Callable[[MalformedFrame], None]) -> bool:
        """Whether the request can be read now, if only to say that there is no such thing. If not, `go_on` is called
        when it can, or `give_up`; nothing else keeps them, since they are of the connection that has this.
        """
        if self._busy:
            return False
        key, version = _KEY_AND_VERSION.unpack_from(frame)
        api = find(key)
        if api is None or not api.low <= version <= api.high or api.is_loaded(version):
            return True
        self._busy = True

        def loaded(done: asyncio.Future[None]) -> None:
            self._busy = False
            if done.cancelled() or (error := done.exception()) is None:
                go_on()
            else:
                give_up(MalformedFrame(f"an API that cannot be loaded: {error}"))

        asyncio.get_running_loop().run_in_executor(None, api.load, version).add_done_callback(loaded)
        return False
