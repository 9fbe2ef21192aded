"""Which APIs there are. A file per API key registers its handler; ApiVersions answers what is registered here.

    @register(key=18, name="ApiVersions", versions=(0, 4), needs=())
    async def api_versions(context: Context, request: Any, version: int) -> Fields: ...

`request` is kio's class for that version; the answer is named fields (broker.wire.encoder); None: no answer is sent.
Errors belong into the answer. Should an exception escape a handler, the client gets what `failed` makes of the request
and the code (by default only `error_code`, where the answer has one), and one line is narrated.
Requests of one connection start in their order, each runs to its first await before the next, and answers keep order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

from broker.api.context import ConnectionInfo, Context, Meter, Settings
from broker.security.access import Need
from broker.wire.codec import decode, encode_answer, is_loaded, shape
from broker.wire.codec import load as load_shape
from broker.wire.encoder import Fields

__all__ = [
    "Api",
    "Chunks",
    "ConnectionInfo",
    "Context",
    "HangUp",
    "Meter",
    "Settings",
    "all_apis",
    "find",
    "load",
    "register",
]

Chunks = list[bytes | bytearray | memoryview]
"""The pieces of an answer's body, sent as they are: record bytes are not copied into one."""
Handler = Callable[[Context, Any, int], Awaitable[Any]]
Decoder = Callable[[int, memoryview, int], Any]
"""(version, frame, position of the body) -> request"""
Encoder = Callable[[int, Any], Chunks]
"""(version, answer) -> body"""
Begin = Callable[[Context, Any, Callable[[Any], None]], bool]
"""(context, request, what the answer is given to, once)"""
Failed = Callable[[Any, int, int], Any]
"""(request, version, error code) -> the answer when the whole request failed"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """One API key and what answers it."""

    key: int
    name: str
    low: int
    high: int
    advertised_low: int
    """What ApiVersions says; below `low` only where clients misread the truth (Produce)."""
    handle: Handler
    decode: Decoder
    encode: Encoder
    failed: Failed
    needs: tuple[Need, ...]
    """The rights that its handler asks for, per resource named; a test makes the matrix of refusals from them. None:
    everybody who may connect may ask it, and its file says why.
    """
    begin: Begin | None
    """Answers at once, or by a later call, without a task; False: this request needs the handler."""
    drop_when_gone: bool
    """Whether the handler is cancelled when its client hangs up: only for what waits long and changes nothing."""

    def needs_of(self, version: int) -> tuple[Need, ...]:
        """The rights that one version asks for."""
        return tuple(need for need in self.needs if need.since <= version <= need.until)

    def is_loaded(self, version: int) -> bool:
        """Whether requests of this version can be read at once; otherwise `load` comes first, in a thread."""
        return is_loaded(self.key, version)

    def load(self, version: int) -> None:
        load_shape(self.key, version)


class Spoken(NamedTuple):
    """One version of an API that can be read and answered at once."""

    api: Api
    version: int
    flexible_request_header: bool
    flexible_response_header: bool


class HangUp(Exception):
    """Raised by a handler that can answer only by closing the connection: a failed Produce that wants no answer."""


_apis: dict[int, Api] = {}
_spoken: dict[int, Spoken] = {}
"""By the four bytes, as a number, that a request begins with: key and version."""


def register(
    *,
    key: int,
    name: str,
    versions: tuple[int, int],
    needs: tuple[Need, ...],
    advertised_low: int | None = None,
    decoder: Decoder | None = None,
    encoder: Encoder | None = None,
    failed: Failed | None = None,
    begin: Begin | None = None,
    drop_when_gone: bool = False,
) -> Callable[[Handler], Handler]:
    """Makes the decorated coroutine the handler of an API key, for versions low to high, both included."""

    def decode_with_kio(version: int, frame: memoryview, position: int) -> Any:
        return decode(key, version, frame, position)

    def encode_with_kio(version: int, answer: Fields) -> Chunks:
        return [encode_answer(key, version, answer)]

    def add(handle: Handler) -> Handler:
        if key in _apis and _apis[key].handle.__module__ != handle.__module__:
            raise ValueError(f"API key {key} is registered twice, as {_apis[key].name} and as {name}")
        _apis[key] = Api(
            key=key,
            name=name,
            low=versions[0],
            high=versions[1],
            advertised_low=versions[0] if advertised_low is None else advertised_low,
            handle=handle,
            decode=decoder or decode_with_kio,
            encode=encoder or encode_with_kio,
            failed=failed or only_error_code,
            needs=needs,
            begin=begin,
            drop_when_gone=drop_when_gone,
        )
        return handle

    return add


def only_error_code(_request: Any, _version: int, code: int) -> Fields:
    """The failure of an API whose answer begins with an error code; where it does not, an empty answer."""
    return {"error_code": code}


def find(key: int) -> Api | None:
    """The API of a key, or None."""
    load()
    return _apis.get(key)


def spoken(first: int) -> Spoken | None:
    """What a request that begins with these four bytes asks for; None unless it is loaded."""
    if (found := _spoken.get(first)) is not None:
        return found
    key, version = first >> 16, first & 0xFFFF
    api = find(key)
    if api is None or not api.low <= version <= api.high or not api.is_loaded(version):
        return None
    layout = shape(key, version)
    found = _spoken[first] = Spoken(api, version, layout.flexible_request_header, layout.flexible_response_header)
    return found


def all_apis() -> tuple[Api, ...]:
    """Every API, by key."""
    load()
    return tuple(_apis[key] for key in sorted(_apis))


@cache
def load() -> None:
    """Imports every kNN_name.py of this package: a new file is a new API, and no list has to know it."""
    package = import_module("broker.api")
    for module in iter_modules(package.__path__):
        if module.name[0] == "k" and module.name[1:3].isdigit():
            import_module(f"broker.api.{module.name}")
