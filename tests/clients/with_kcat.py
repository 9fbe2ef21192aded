"""kcat, the command line tool on librdkafka. It has no admin command: the topic is created by asking for it.

Its producer gives all records the same headers, so these are what is sent and compared.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess

from tests.clients.cells import Cell, Ground
from tests.clients.records import Got, Headers, Record, differences, records

NAME = "kcat"
_HEADERS: Headers = (("client", b"kcat"), ("kind", b"test"))


def available() -> str:
    return "" if shutil.which("kcat") else "not installed: apt-get install kcat"


def version() -> str:
    told = subprocess.run(["kcat", "-V"], capture_output=True, text=True, timeout=10, check=True).stdout
    return next(line.split()[1] for line in told.splitlines() if line.startswith("Version"))


def sendable(sent: list[Record]) -> list[Record]:
    """The same records with the headers that kcat can give."""
    return [dataclasses.replace(each, headers=_HEADERS) for each in sent]


def run(bootstrap: str, topic: str, sent: list[Record], timeout: float) -> list[Got]:
    """Produces into a topic that is not there yet, reads back through a group."""
    produce = ["kcat", "-q", "-P", "-b", bootstrap, "-t", topic, "-K", "\t", "-X", "acks=all", "-z", "zstd"]
    produce += ["-X", "enable.idempotence=true"]
    for name, value in _HEADERS:
        produce += ["-H", f"{name}={value.decode()}"]
    lines = b"".join(each.key + b"\t" + each.value + b"\n" for each in sent)
    _command(produce, lines, timeout)
    consume = ["kcat", "-q", "-b", bootstrap, "-c", str(len(sent)), "-X", "auto.offset.reset=earliest"]
    consume += ["-f", "%p\t%o\t%h\t%k\t%s\n", "-G", f"{topic}-group", topic]
    return [_got(line) for line in _command(consume, b"", timeout).splitlines()]


def _command(command: list[str], given: bytes, timeout: float) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"kcat exited with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return done.stdout


def _got(line: bytes) -> Got:
    partition, offset, headers, key, value = line.split(b"\t")
    pairs = tuple((name.decode(), text) for name, _, text in (pair.partition(b"=") for pair in headers.split(b",")))
    return Got(partition=int(partition), offset=int(offset), record=Record(key=key, value=value, headers=pairs))


def _group(ground: Ground) -> list[str]:
    sent = sendable(records(ground.records))
    return differences(sent, run(ground.bootstrap, ground.name, sent, ground.timeout_s))


CELLS: dict[str, Cell] = {"group": _group}
CANNOT: dict[str, str] = {}
