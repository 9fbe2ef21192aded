"""The codecs inside a batch, for the only one who may look there: the cleaner of compacted topics (law 2).

1. Nothing is decompressed past the room it is given: a 1 MiB zstd can hold 32 GiB.
2. What was compressed with a codec is compressed with the same one again, framed as Java clients write and read it:
   snappy in xerial's chunks, lz4 as a frame of independent blocks.
"""

from __future__ import annotations

import struct

import cramjam

Bytes = bytes | bytearray | memoryview

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = struct.Struct(">8sii")
_CHUNK = struct.Struct(">i")
_CHUNK_BYTES = 32 * 1024


class TooLarge(Exception):
    """It would decompress to more than the room there is."""


class Undecodable(Exception):
    """These bytes are not what their codec writes."""


class Decoder:
    """Decompresses into one buffer of its own: an answer is valid until the next call."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes
        self._buffer = bytearray(room_bytes)

    def decode(self, codec: str, data: Bytes) -> memoryview:
        """The records. TooLarge or Undecodable when they cannot be had."""
        if codec == "none":
            return memoryview(data)
        view = memoryview(self._buffer)
        if codec == "snappy":
            return view[: self._snappy(memoryview(data), view)]
        into = {"gzip": cramjam.gzip, "lz4": cramjam.lz4, "zstd": cramjam.zstd}[codec].decompress_into
        try:
            return view[: into(data, self._buffer)]
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                raise TooLarge(f"more than {self.room_bytes} bytes of {codec}") from error
            raise Undecodable(f"{codec}: {error}") from error

    def _snappy(self, data: memoryview, view: memoryview) -> int:
        if bytes(data[:8]) != _XERIAL:
            return self._raw_snappy(data, view, 0)
        at, size = _XERIAL_HEADER.size, 0
        while at < len(data):
            try:
                (length,) = _CHUNK.unpack_from(data, at)
            except struct.error as error:
                raise Undecodable("snappy: a chunk without a length") from error
            at += _CHUNK.size
            if not 0 < length <= len(data) - at:
                raise Undecodable(f"snappy: a chunk of {length} bytes with {len(data) - at} there")
            size += self._raw_snappy(data[at : at + length], view, size)
            at += length
        return size

    def _raw_snappy(self, data: memoryview, view: memoryview, at: int) -> int:
        try:
            size = int(cramjam.snappy.decompress_raw_len(data))
            if size > self.room_bytes - at:
                raise TooLarge(f"more than {self.room_bytes} bytes of snappy")
            return int(cramjam.snappy.decompress_raw_into(data, view[at : at + size]))
        except (cramjam.DecompressionError, ValueError) as error:
            raise Undecodable(f"snappy: {error}") from error


def encode(codec: str, data: Bytes) -> bytes:
    """Compressed as Kafka's clients expect it of that codec."""
    if codec == "none":
        return bytes(data)
    if codec == "snappy":
        return _xerial(memoryview(data))
    if codec == "lz4":
        compressor = cramjam.lz4.Compressor(level=9, content_checksum=False, block_linked=False)
        compressor.compress(data)
        return bytes(compressor.finish())
    if codec == "gzip":
        return bytes(cramjam.gzip.compress(data))
    return bytes(cramjam.zstd.compress(data, level=3))


def _xerial(data: memoryview) -> bytes:
    pieces = [_XERIAL_HEADER.pack(_XERIAL, 1, 1)]
    for start in range(0, len(data), _CHUNK_BYTES):
        chunk = bytes(cramjam.snappy.compress_raw(data[start : start + _CHUNK_BYTES]))
        pieces += [_CHUNK.pack(len(chunk)), chunk]
    return b"".join(pieces)
