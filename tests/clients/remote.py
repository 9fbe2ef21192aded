"""A driver for clients of other languages: a program of theirs has the client, and is told what to do over loopback.

The program prints the port it listens on, and ends with its stdin. A connection is one client, and carries lines of
JSON: `{"do": ...}` and what belongs to it; the answer has `"error"` when it went wrong. Bytes are in base64:

    writer OPTIONS, reader OPTIONS      opens it; answers {"id"}
    sharer OPTIONS                      a member of a share group, where the client has such (share.py)
    send {topic, records: [[key, value, [[name, value], ...]], ...]}
    begin, commit, abort, offsets {reader}
    poll {ms} -> {records: [[partition, offset, key, value, headers], ...]}
    assigned -> {partitions}
    admin OPTIONS -> {faults}           client-specific, all of it at once
    close

What a client's settings are called is the program's matter: options have one name for all.
"""

from __future__ import annotations

import atexit
import json
import select
import socket
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tests.clients.cells import Ground
from tests.clients.driver import ALONE, LARGE_LIMIT, Reading
from tests.clients.records import Got, Record

_START_S = 60.0
_AT_ONCE = 2000


class Line:
    """A client in the program."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _START_S)
        self._socket.settimeout(timeout_s)
        self._file = self._socket.makefile("rwb")

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """The answer; RuntimeError with the client's own words when there is an error."""
        self._file.write(json.dumps({"do": what, **more}).encode() + b"\n")
        self._file.flush()
        line = self._file.readline()
        if not line:
            raise RuntimeError(f"the client's program hung up when it was asked to {what}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{what}: {answer['error']}")
        return answer

    def close(self) -> None:
        try:
            self.ask("close")
        finally:
            self._file.close()
            self._socket.close()


class _Writer:
    def __init__(self, line: Line) -> None:
        self._line = line

    def send(self, topic: str, sent: Iterable[Record]) -> None:
        left = iter(sent)
        while part := list(islice(left, _AT_ONCE)):
            records = [[_text(each.key), _text(each.value), _headers(each)] for each in part]
            self._line.ask("send", topic=topic, records=records)

    def begin(self) -> None:
        self._line.ask("begin")

    def commit(self) -> None:
        self._line.ask("commit")

    def abort(self) -> None:
        self._line.ask("abort")

    def send_offsets(self, reader: Any) -> None:
        self._line.ask("offsets", reader=reader.id)

    def close(self) -> None:
        self._line.close()


class _Reader:
    def __init__(self, line: Line, id: int) -> None:
        self._line = line
        self.id = id

    def poll(self, seconds: float) -> list[Got]:
        return [_got(each) for each in self._line.ask("poll", ms=int(seconds * 1000))["records"]]

    def assigned(self) -> set[int]:
        return set(self._line.ask("assigned")["partitions"])

    def commit(self) -> None:
        self._line.ask("commit")

    def close(self) -> None:
        self._line.close()


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(text: str | None) -> Any:
    return None if text is None else b64decode(text)


def _headers(record: Record) -> list[list[str | None]]:
    return [[name, _text(value)] for name, value in record.headers]


def _got(told: Sequence[Any]) -> Got:
    partition, offset, key, value, headers = told
    pairs = tuple((name, _bytes(text)) for name, text in headers)
    return Got(partition=partition, offset=offset, record=Record(key=_bytes(key), value=_bytes(value), headers=pairs))


@dataclass(kw_only=True)
class Remote:
    """The driver: starts the program when it is first needed, once in this process."""

    command: Callable[[Ground], list[str]]
    _port: int = field(default=0, init=False)

    def line(self, ground: Ground) -> Line:
        """Another client of the program."""
        if not self._port:
            self._port = self._start(self.command(ground))
        return Line(self._port, 2 * ground.timeout_s)

    def _start(self, command: list[str]) -> int:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        atexit.register(process.wait, 20)
        atexit.register(process.stdin.close)
        readable, _, _ = select.select([process.stdout], [], [], _START_S)
        port = process.stdout.readline().strip() if readable else ""
        if not port:
            process.kill()
            raise RuntimeError(f"{command[0]} did not say within {_START_S:.0f} s where it listens")
        return int(port)

    def writer(
        self, ground: Ground, *, door: str = "", codec: str = "none", idempotent: bool = False, large: bool = False
    ) -> _Writer:
        line = self.line(ground)
        line.ask("writer", **options(ground, door), codec=codec, idempotent=idempotent, large=_limit(large))
        return _Writer(line)

    def transactional(self, ground: Ground, transactional_id: str) -> _Writer:
        line = self.line(ground)
        given = {"codec": "none", "idempotent": True, "large": 0, "transactionalId": transactional_id}
        line.ask("writer", **options(ground, ""), **given)
        return _Writer(line)

    def reader(self, ground: Ground, topic: str, how: Reading = ALONE) -> _Reader:
        line = self.line(ground)
        given = {"topic": topic, "group": how.group, "protocol": how.protocol, "committedOnly": how.committed_only}
        opened = line.ask("reader", **options(ground, how.door), **given, large=_limit(how.large), rack=how.rack)
        return _Reader(line, opened["id"])

    def admin(self, ground: Ground) -> list[str]:
        """What the program's own look at administration found wrong."""
        line = self.line(ground)
        faults: list[str] = line.ask("admin", **options(ground, ""), topic=ground.name)["faults"]
        return faults


def _limit(large: bool) -> int:
    return LARGE_LIMIT if large else 0


def options(ground: Ground, door: str) -> dict[str, Any]:
    """Where the cluster is, and how one comes in."""
    address = {"": ground.bootstrap, "mTLS": ground.mutual}.get(door, ground.secure)
    return {
        "bootstrap": address,
        "door": door,
        "clientId": ground.name,
        "timeoutMs": int(ground.timeout_s * 1000),
        "ca": str(ground.ca_file),
        "certificate": str(ground.certificate),
        "user": ground.user,
        "password": ground.password,
        "tokenFile": str(ground.token_file),
        "tokenUrl": ground.token_url,
    }
