"""The broker under fire, as a stranger sees it: frames out, and what came of each."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from enum import Enum

from kio.index import load_response_schema
from kio.serial import entity_reader

PATIENCE_S = 0.03
"""How long a frame that may rightly stay unanswered is waited for."""
ANSWER_S = 10.0


class Outcome(Enum):
    """What came of one frame."""

    ANSWERED = "answered"
    HUNG_UP = "hung up"
    SILENT = "silent"


class Wrong(Exception):
    """The broker did what it must never do; the message names the frame."""


class Target:
    """One connection that is made again whenever the broker hangs up."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def send(self, data: bytes, patience_s: float) -> tuple[Outcome, bytes]:
        """Sends bytes as they are; the answer's frame when there is one."""
        try:
            self._connected(patience_s).sendall(data)
            return Outcome.ANSWERED, self._frame()
        except TimeoutError:
            self.close()
            return Outcome.SILENT, b""
        except OSError:
            self.close()
            return Outcome.HUNG_UP, b""

    def ask(self, frame: bytes, patience_s: float = ANSWER_S) -> tuple[Outcome, bytes]:
        """A frame with its true length before it. `Wrong` when the answer belongs to another request."""
        outcome, answer = self.send(struct.pack(">i", len(frame)) + frame, patience_s)
        if outcome is Outcome.ANSWERED and len(frame) >= 8 and answer[:4] != frame[4:8]:
            raise Wrong(f"an answer to {answer[:4].hex()} for {frame[:200].hex()}")
        return outcome, answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self, patience_s: float) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=ANSWER_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(patience_s)
        return self._socket

    def _frame(self) -> bytes:
        (size,) = struct.unpack(">i", self._read(4))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionResetError("hung up")
            data += piece
        return bytes(data)


NO_TIME = "Cannot parse negative timestamp"
"""kio's word for the -1 that Kafka writes where there is no time, as DescribeTransactions does."""


def read_answer(key: int, version: int, answer: bytes) -> object:
    """kio's reading of an answer. `Wrong` when it is not one of this API and version."""
    schema = load_response_schema(key, version)
    read: Callable[[bytes, int], tuple[object, int]] = entity_reader(schema)
    position = 5 if schema.__header_schema__.__version__ >= 1 else 4
    try:
        found, size = read(answer, position)
    except Exception as error:
        if str(error) == NO_TIME:
            return None
        raise Wrong(f"API key {key} version {version} answered what cannot be read: {error}") from error
    if position + size != len(answer):
        raise Wrong(f"API key {key} version {version}: {len(answer) - position - size} bytes too many in the answer")
    return found
