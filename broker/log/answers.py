"""What a log answers to appends and reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Bytes = bytes | bytearray | memoryview


class Promise(Protocol):
    """Who waits for one outcome: a future, or what does the same for less. Each is told once."""

    def done(self) -> bool:
        """Whether it was told, or does not wait any more."""

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, error: Exception, /) -> None: ...

    def exception(self) -> BaseException | None: ...


class Appended(NamedTuple):
    base_offset: int
    log_append_time_ms: int
    """-1: the producer's timestamps are kept."""
    log_start: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Whole record batches, the first of which may begin before the offset asked for."""

    data: list[Bytes]
    high_watermark: int
    last_stable: int
    log_start: int
    aborted: tuple[tuple[int, int], ...] = ()
    """(producer id, first offset) of transactions that read_committed consumers leave out."""
