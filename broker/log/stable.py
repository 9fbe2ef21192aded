"""Cutting what was read at a batch's border: read_committed consumers see nothing past what is decided."""

from __future__ import annotations

from collections.abc import Sequence

from broker.records.batch import batches

Bytes = bytes | bytearray | memoryview


def below(data: Sequence[Bytes], limit: int) -> list[Bytes]:
    """The batches that begin below `limit`."""
    kept: list[Bytes] = []
    for piece in data:
        for batch in batches(piece):
            if batch.base_offset >= limit:
                if batch.position:
                    kept.append(memoryview(piece)[: batch.position])
                return kept
        kept.append(piece)
    return kept


def end_of(data: Sequence[Bytes], start: int) -> int:
    """The offset after the last record; `start` when there is none."""
    if not data:
        return start
    end = start
    for batch in batches(data[-1]):
        end = batch.next_offset
    return end
