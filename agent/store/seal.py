"""A checksum inside each Parquet file, where Parquet's readers do not look: between the last page and the footer.

    PAR1 | pages ... | SPSEAL01, crc32c of all else (8 + 4 bytes) | footer | its length (4 bytes) | PAR1

It is needed because most flipped bits in a page decode to other numbers without a word. The footer says that there is
a seal (`MARK`, among its key-value metadata), so that one which is damaged is no file without one. Files of releases
that made no seals can only be decoded whole, which is done once a query over them failed.

Laws:
1. Only contents that are proved wrong are damage. A file that cannot be opened or read, or that does not fit in memory,
   raises OSError, which says nothing about the contents; where there is no file, FileNotFoundError.
2. A file is sealed as a draft, before it has its name.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
from crc32c import crc32c

from agent.store.failures import around, first_line

MARK = "streampilot_sealed"
MAGIC = b"SPSEAL01"
END = b"PAR1"
PIECE_BYTES = 1 << 20
LOOK_MEMORY = "256MB"
_SEAL_BYTES = len(MAGIC) + 4
_TAIL_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a file's outline and checksum say."""

    problem: str = ""
    """In words, to go on after "the file": "ends too early"; empty where nothing is wrong as far as this tells."""
    sealed: bool = False
    """A checksum was compared."""


def seal(draft: Path) -> None:
    """Puts the checksum into a Parquet file that was written with `MARK` in its metadata."""
    with draft.open("r+b") as file:
        until, rest = _rest(file)
        crc = _crc(file, until, rest)
        file.seek(until)
        file.write(MAGIC + struct.pack("<I", crc) + rest)


def look(path: Path) -> Look:
    """Compares the checksum of a file that has one, and the ends of any: as quick as reading it."""
    with path.open("rb") as file:
        until, rest = _rest(file)
        if until < len(END) or not rest.endswith(END):
            return Look(problem=f"is no whole Parquet file: {file.seek(0, os.SEEK_END)} bytes with another end")
        if MARK.encode() not in rest:
            return Look()
        file.seek(max(0, until - _SEAL_BYTES))
        found = file.read(_SEAL_BYTES)
        if not found.startswith(MAGIC):
            return Look(problem="has lost its checksum", sealed=True)
        if struct.unpack("<I", found[len(MAGIC) :])[0] != _crc(file, until - _SEAL_BYTES, rest):
            return Look(problem="does not fit its checksum", sealed=True)
        return Look(sealed=True)


def decode(path: Path) -> Look:
    """`look`, and all of a file without a seal decoded: as slow as a query over all of it."""
    found = look(path)
    if found.problem or found.sealed:
        return found
    try:
        with duckdb.connect(config={"memory_limit": LOOK_MEMORY, "threads": "1"}) as connection:
            connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet('{path}')").fetchall()
    except duckdb.Error as error:
        if around(error):
            raise OSError(first_line(error)) from error
        return Look(problem=f"cannot be decoded: {first_line(error)}")
    return found


def _rest(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer begins, and all from there on; what is no Parquet file has no such place."""
    size = file.seek(0, os.SEEK_END)
    if size < _TAIL_BYTES:
        return 0, b""
    file.seek(size - _TAIL_BYTES)
    length: int = struct.unpack("<I", file.read(4))[0]
    until = size - _TAIL_BYTES - length
    if until < len(END):
        return 0, b""
    file.seek(until)
    return until, file.read()


def _crc(file: BinaryIO, until: int, rest: bytes) -> int:
    """Of the first `until` bytes, and of the rest behind them."""
    file.seek(0)
    crc, left = 0, until
    while left > 0 and (piece := file.read(min(PIECE_BYTES, left))):
        crc = crc32c(piece, crc)
        left -= len(piece)
    return crc32c(rest, crc)
