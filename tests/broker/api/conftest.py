"""One real broker in this process, and a client that speaks raw frames."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node


class Wire:
    """A connection that sends what it is told and waits for what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._correlation = 0

    def send(self, frame: bytes) -> None:
        self.writer.write(struct.pack(">i", len(frame)) + frame)

    async def answer(self) -> bytes:
        """The next frame; IncompleteReadError when the broker hung up."""
        (size,) = struct.unpack(">i", await self.reader.readexactly(4))
        return await self.reader.readexactly(size)

    async def hung_up(self) -> bool:
        try:
            async with asyncio.timeout(30):
                return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True

    def request(self, key: int, version: int, /, **values: Any) -> int:
        """Sends a request made of plain values (dicts for structures); gives its correlation id."""
        self._correlation += 1
        schema: Any = load_request_schema(key, version)
        flexible = schema.__header_schema__.__version__ >= 2
        header = struct.pack(">hhih", key, version, self._correlation, 4) + b"test" + (b"\0" if flexible else b"")
        body = io.BytesIO()
        entity_writer(schema)(body, build(schema, values))
        self.send(header + body.getvalue())
        return self._correlation

    async def response(self, key: int, version: int) -> tuple[int, Any]:
        """The next answer, as (correlation id, kio's response)."""
        schema: Any = load_response_schema(key, version)
        frame = await self.answer()
        position = 5 if schema.__header_schema__.__version__ >= 1 else 4
        found, size = entity_reader(schema)(frame, position)
        assert position + size == len(frame)
        return struct.unpack_from(">i", frame)[0], found

    async def ask(self, key: int, version: int, /, **values: Any) -> Any:
        """A request and its answer."""
        asked = self.request(key, version, **values)
        async with asyncio.timeout(30):
            answered, found = await self.response(key, version)
        assert answered == asked
        return found


def build(schema: Any, values: dict[str, Any]) -> Any:
    """kio's request out of plain values; what this version does not have is left out."""
    given = {}
    for field in dataclasses.fields(schema):
        if field.name not in values:
            continue
        value = values[field.name]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            (item,) = (each for each in flat(field.type) if dataclasses.is_dataclass(each))
            value = tuple(build(item, each) for each in value)
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return schema(**given)


def flat(kind: Any) -> list[Any]:
    """All types inside a type."""
    inner = [each for argument in getattr(kind, "__args__", ()) for each in flat(argument)]
    return [kind, *inner]


class Broker:
    """A started broker and its connections."""

    def __init__(self, node: Node, address: str) -> None:
        self.node = node
        self.address = address
        self._open: list[Wire] = []

    async def connect(self) -> Wire:
        host, _, port = self.address.rpartition(":")
        wire = Wire(*await asyncio.open_connection(host, int(port)))
        self._open.append(wire)
        return wire

    async def hang_up(self) -> None:
        for wire in self._open:
            wire.writer.close()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    flags = ["--id", "0", "--dir", str(tmp_path), "--cluster", "test", "--zone", "z0", "--http", "127.0.0.1:0"]
    flags += ["--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    flags += ["--config", "group.initial.rebalance.delay.ms=50", "--config", "telemetry.push.interval.ms=200"]
    node = Node(parse(flags), SystemClock())
    started = Broker(node, (await node.start()).kafka)
    yield started
    await started.hang_up()
    await node.stop()


@pytest.fixture
async def wire(broker: Broker) -> Wire:
    return await broker.connect()
