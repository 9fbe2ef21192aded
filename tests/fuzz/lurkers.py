"""Connections that hold on: a large frame declared and never sent, one byte a second, silence after half a header."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass

from tests.fuzz.requests import header

COUNT = 50


@dataclass(frozen=True, kw_only=True)
class Lurkers:
    """Open connections, and the thread that feeds the slow ones."""

    sockets: list[socket.socket]
    over: threading.Event
    thread: threading.Thread


def begin(address: tuple[str, int]) -> Lurkers:
    """`COUNT` of each kind."""
    declared, slow = [_connect(address) for _ in range(COUNT)], [_connect(address) for _ in range(COUNT)]
    half = [_connect(address) for _ in range(COUNT)]
    for one in declared:
        one.sendall(struct.pack(">i", 100 << 20) + b"\0\0\0\x09")
    for one in half:
        one.sendall(b"\0\0")
    over = threading.Event()
    thread = threading.Thread(target=_feed, args=(slow, over), daemon=True)
    thread.start()
    return Lurkers(sockets=[*declared, *slow, *half], over=over, thread=thread)


def end(lurkers: Lurkers) -> list[str]:
    """Hangs up; nothing that lurkers do is a fault unless the thread that feeds them died."""
    died = not lurkers.thread.is_alive()
    lurkers.over.set()
    lurkers.thread.join(5)
    for one in lurkers.sockets:
        one.close()
    return ["the slow connections could not be fed"] if died else []


def _connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def _feed(slow: list[socket.socket], over: threading.Event) -> None:
    frame = header(18, 0, 1, flexible=False)
    data = struct.pack(">i", 1 << 20) + frame
    for at in range(1 << 20):
        for one in list(slow):
            try:
                one.sendall(data[at : at + 1] or b"\0")
            except OSError:
                slow.remove(one)  # the broker had enough of it
        if over.wait(1):
            return
