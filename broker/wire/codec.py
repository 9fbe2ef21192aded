"""Requests in, answers out, through kio's schemas: the codec of every API that is not packed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from kio.index import load_request_schema, load_response_schema

from broker.errors import MalformedFrame
from broker.wire.cursor import Cursor
from broker.wire.decoder import struct_reader
from broker.wire.encoder import Fields, encode, struct_writer


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How one version of one API looks on the wire."""

    request: type[Any]
    """kio's class; what `decode` returns is an instance of it."""
    response: type[Any]
    flexible_request_header: bool
    flexible_response_header: bool
    """Never for ApiVersions, which a client reads before it knows what the broker speaks."""


@cache
def shape(key: int, version: int) -> Shape:
    """Loaded at first use: importing every version of every API would take a second."""
    request, response = load_request_schema(key, version), load_response_schema(key, version)
    return Shape(
        request=request,
        response=response,
        flexible_request_header=request.__header_schema__.__version__ >= 2,
        flexible_response_header=response.__header_schema__.__version__ >= 1,
    )


_loaded: set[tuple[int, int]] = set()


def is_loaded(key: int, version: int) -> bool:
    """Whether this version can be spoken at once."""
    return (key, version) in _loaded


def load(key: int, version: int) -> None:
    """Imports and compiles a version, which takes 50 ms: run it in a thread, not on the loop (law 14)."""
    found = shape(key, version)
    struct_reader(found.request)
    struct_writer(found.response)
    _loaded.add((key, version))


def decode(key: int, version: int, frame: memoryview, position: int) -> Any:
    """The request in `frame` from `position` on. MalformedFrame whatever is wrong with the bytes."""
    schema = shape(key, version).request
    try:
        return struct_reader(schema)(Cursor(frame, position=position, flexible=schema.__flexible__))
    except (MalformedFrame, OverflowError) as error:
        raise MalformedFrame(f"API key {key} version {version}: {error}") from error


def encode_answer(key: int, version: int, answer: Fields) -> bytearray:
    """The body of an answer, without header."""
    return encode(shape(key, version).response, answer)
