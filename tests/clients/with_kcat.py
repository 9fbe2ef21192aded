"""kcat, the command line tool on librdkafka; a process for each thing it does. It has no admin command.

Its producer gives all records of a process the same headers, so these are what is sent and compared.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing

from tests.clients import reference
from tests.clients.cells import COLUMNS, Cell, Ground
from tests.clients.driver import ALONE, CODECS, HEARTBEAT_MS, LARGE_LIMIT, Reading
from tests.clients.records import Got, Headers, Record, differences, records
from tests.clients.usual import cells, read_all

NAME = "kcat"
CANNOT = {
    "admin": "it has no admin commands",
    "oauthbearer": "Debian's librdkafka is built without OIDC, and kcat has no other way to a signed token",
    "kip848": "Debian's is built on librdkafka 2.0",
}
SETTINGS = {
    "group": f"heartbeat.interval.ms={HEARTBEAT_MS}, only so that members learn of each other soon",
    "large": f"message.max.bytes={LARGE_LIMIT} (producer); max.message.bytes={LARGE_LIMIT} on the topic",
    "transactions": "transactional.id: one transaction a process, aborted by Ctrl-C; no offsets in it",
    "near": "client.rack",
}
_HEADERS: Headers = (("client", b"kcat"), ("kind", b"test"))
_ODD_HEADERS: Headers = (("twice", b"1"), ("twice", b"2"), ("empty", b""), ("n\u00e4me", "\u00fc".encode()))
_ASSIGNED = re.compile(rb"assigned: (.*)")
_CHUNK = 1 << 20


def available() -> str:
    return "" if shutil.which("kcat") else "not installed: apt-get install kcat"


def version() -> str:
    told = subprocess.run(["kcat", "-V"], capture_output=True, text=True, timeout=10, check=True).stdout
    return next(line.split()[1] for line in told.splitlines() if line.startswith("Version"))


def _kcat(ground: Ground, door: str, *more: str) -> list[str]:
    """The command, and how it comes in."""
    settings = {"client.id": ground.name}
    servers = ground.mutual if door == "mTLS" else ground.secure if door else ground.bootstrap
    if door:
        settings |= {"ssl.ca.location": str(ground.ca_file), "security.protocol": "SSL"}
    if door == "mTLS":
        settings |= {"ssl.certificate.location": str(ground.certificate), "ssl.key.location": str(ground.certificate)}
    elif door:
        settings |= {"security.protocol": "SASL_SSL", "sasl.mechanism": door}
        settings |= {"sasl.username": ground.user, "sasl.password": ground.password}
    return ["kcat", "-b", servers, *_set(settings), *more]


def _set(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-X", f"{name}={value}")]


class _Writer:
    def __init__(self, ground: Ground, door: str, *options: str, headers: Headers = _HEADERS) -> None:
        given = [word for name, value in headers for word in ("-H", f"{name}={value.decode()}")]
        self._command = _kcat(ground, door, "-q", "-P", "-K", "\t", "-X", "acks=all", *given, *options)
        self._timeout_s = ground.timeout_s

    def send(self, topic: str, sent: Iterable[Record]) -> None:
        command = [*self._command, "-t", topic]
        done = subprocess.run(command, input=lines(sent), capture_output=True, timeout=self._timeout_s, check=False)
        if done.returncode:
            raise RuntimeError(f"kcat exited with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")

    def begin_and_abort(self, topic: str, sent: list[Record], ground: Ground, there: int) -> None:
        """Sends them in a transaction that ends with Ctrl-C, once `there` records are in the log."""
        process = subprocess.Popen([*self._command, "-t", topic], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdin is not None
        try:
            process.stdin.write(lines(sent))
            process.stdin.flush()
            reference.read(ground, topic, there)
            process.send_signal(signal.SIGINT)
            process.stdin.close()  # it does not look up from reading before
            process.wait(self._timeout_s)
        finally:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Each process has ended."""


def lines(sent: Iterable[Record]) -> bytes:
    """As kcat reads them."""
    return b"".join((each.key or b"") + b"\t" + (each.value or b"") + b"\n" for each in sent)


class _Reader:
    """A kcat that runs until it is told to stop; it commits by itself, before it gives partitions up."""

    def __init__(self, command: list[str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        assert self._process.stdout is not None and self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        self._rest, self._told = b"", b""
        self._assigned: set[int] = set()

    def poll(self, seconds: float) -> list[Got]:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._out, self._err], [], [], left)
            if self._err in ready:
                self._listen()
            if self._out in ready:
                data = os.read(self._out, _CHUNK)
                *whole, self._rest = (self._rest + data).split(b"\n")
                if whole:
                    return [_got(line) for line in whole]
            if self._process.poll() is not None:
                raise RuntimeError(f"kcat exited with {self._process.returncode}: {self._told[-300:]!r}")
        return []

    def _listen(self) -> None:
        self._told = (self._told + os.read(self._err, _CHUNK))[-10_000:]
        found = _ASSIGNED.findall(self._told[: self._told.rfind(b"\n") + 1])
        if found:
            self._assigned = {int(number) for number in re.findall(rb"\[(\d+)\]", found[-1])}

    def assigned(self) -> set[int]:
        return self._assigned

    def commit(self) -> None:
        """It does so by itself."""

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=self._timeout_s)
        finally:
            self._process.kill()
            self._process.wait()


def _got(line: bytes) -> Got:
    partition, offset, headers, key, value = line.split(b"\t")
    pairs = tuple((name.decode(), text) for name, _, text in (pair.partition(b"=") for pair in headers.split(b",")))
    record = Record(key=key, value=value, headers=pairs if headers else ())
    return Got(partition=int(partition), offset=int(offset), record=record)


class _Driver:
    def records(self, count: int) -> list[Record]:
        """The usual ones with the headers that kcat can give."""
        return [Record(key=each.key, value=each.value, headers=_HEADERS) for each in records(count)]

    def writer(
        self, ground: Ground, *, door: str = "", codec: str = "none", idempotent: bool = False, large: bool = False
    ) -> _Writer:
        options = [] if codec == "none" else ["-z", codec]
        options += ["-X", "enable.idempotence=true"] if idempotent else []
        if large:
            return _Writer(ground, door, *options, "-X", f"message.max.bytes={LARGE_LIMIT}", headers=())
        return _Writer(ground, door, *options)

    def transactional(self, ground: Ground, transactional_id: str) -> _Writer:
        return _Writer(ground, "", "-X", f"transactional.id={transactional_id}", "-m", "30")

    def reader(self, ground: Ground, topic: str, how: Reading = ALONE) -> _Reader:
        settings = {"auto.offset.reset": "earliest", "heartbeat.interval.ms": str(HEARTBEAT_MS)}
        settings["isolation.level"] = "read_committed" if how.committed_only else "read_uncommitted"
        settings |= {"client.rack": how.rack} if how.rack else {}
        command = _kcat(ground, how.door, "-u", *_set(settings), "-f", "%p\t%o\t%h\t%k\t%s\n")
        command += ["-G", how.group, topic] if how.group else ["-C", "-o", "beginning", "-t", topic]
        return _Reader(command, ground.timeout_s)


DRIVER = _Driver()


def _transactions(ground: Ground) -> list[str]:
    """One is committed, one is aborted, one is committed."""
    sent = DRIVER.records(ground.records)
    half = len(sent) // 2
    never = [Record(key=each.key, value=b"aborted-%d" % number, headers=_HEADERS) for number, each in enumerate(sent)]
    reference.create(ground, ground.name)
    writer = DRIVER.transactional(ground, f"{ground.name}-id")
    writer.send(ground.name, sent[:half])
    writer.begin_and_abort(ground.name, never, ground, half + len(never))
    writer.send(ground.name, sent[half:])
    with closing(DRIVER.reader(ground, ground.name, Reading(committed_only=True))) as reader:
        got = read_all(reader, len(sent), ground.timeout_s) + reader.poll(1.0)
    told = reference.read(ground, ground.name, len(sent), committed_only=True, more=True)
    faults = [f"by the reference: {fault}" for fault in differences(sent, told, gaps=True)]
    return faults + differences(sent, got, gaps=True)


def _headers(ground: Ground) -> list[str]:
    """Several of one name, an empty one, one that is not ASCII; keys and values that are null (-Z)."""
    sent = [Record(key=each.key, value=each.value, headers=_ODD_HEADERS) for each in DRIVER.records(ground.records)]
    reference.create(ground, ground.name)
    _Writer(ground, "", "-Z", headers=_ODD_HEADERS).send(ground.name, [*sent, Record(key=b"", value=b"", headers=())])
    got = reference.read(ground, ground.name, len(sent) + 1)
    with closing(DRIVER.reader(ground, ground.name)) as reader:
        faults = differences(
            [*sent, Record(key=b"", value=b"", headers=_ODD_HEADERS)], read_all(reader, len(sent) + 1, ground.timeout_s)
        )
    return faults + differences([*sent, Record(key=None, value=None, headers=_ODD_HEADERS)], got)


_OWN = {"transactions": _transactions, "headers": _headers}
CELLS: dict[str, Cell] = {
    **cells(DRIVER, (column for column in COLUMNS if column not in CANNOT and column not in _OWN), CODECS),
    **_OWN,
}
