"""The ring file: read back, written and trimmed. Blocking calls only; `disk.py` gives them a thread, `making.py` makes
the file and fills it with zeros ahead of the writer.

Recovery reads blocks from the trim point on. Where one does not check out, nothing of its group was acknowledged if it
is the last thing in the ring: a torn tail. A group is written only after the one before it is durable, so any whole
block further on proves that the bad one had been durable too: corruption, and the ring stays closed (law 7).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from broker.wal.base import Entry, Recovered, WalError
from broker.wal.durable import Bytes, write_durably
from broker.wal.layout import (
    ALIGN,
    BLOCK_BYTES,
    BLOCK_MAGIC,
    RING_AT,
    Block,
    Head,
    aligned,
    block_size,
    entries_of,
    pack_block,
    pack_head,
    unpack_block,
    unpack_head,
)
from broker.wal.making import Zeroing, make

EPOCH_BITS = 32
"""A sequence is the broker epoch, which never repeats, above this many bits of counting: so neither does it,
whatever was torn.
"""
PROBE_BYTES = 4 * 1024 * 1024
IOV_MAX = 1024


class Ring:
    """One open ring file. `position` is where the next block goes, `trimmed` where the oldest one that counts
    begins.
    """

    def __init__(self, path: Path, fd: int, head: Head) -> None:
        self.path = path
        self._fd = fd
        self._head = head
        self.position = head.trim
        self._sequence = head.sequence
        self.zeroing = Zeroing(fd, RING_AT, RING_AT + head.capacity)

    @classmethod
    def open(cls, path: Path, capacity: int, ring_id: bytes) -> Ring:
        """Opens the file, or makes it with `capacity` bytes of ring; an existing ring keeps its size."""
        if not path.exists():
            make(path, aligned(capacity), ring_id)
        return cls.existing(path)

    @classmethod
    def existing(cls, path: Path, *, writable: bool = True) -> Ring:
        """Opens a ring that was made before."""
        fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        # Without read-ahead the parts never written stay holes to SEEK_DATA: opening a new ring reads a page of it.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        heads = [head for at in (0, ALIGN) if (head := unpack_head(os.pread(fd, ALIGN, at))) is not None]
        if not heads:
            os.close(fd)
            raise WalError(
                f"{path}: neither head slot (offset 0 and {ALIGN}) is whole, so where the log begins is unknown;"
                " restore the file, or move it away to start empty and lose what was not uploaded"
            )
        head = max(heads, key=lambda one: one.generation)
        if os.fstat(fd).st_size < RING_AT + head.capacity:
            os.close(fd)
            raise WalError(f"{path}: {RING_AT + head.capacity} bytes were made, fewer are there; restore the file")
        return cls(path, fd, head)

    @property
    def capacity(self) -> int:
        return self._head.capacity

    @property
    def trimmed(self) -> int:
        return self._head.trim

    def recover(self) -> Recovered:
        """Every block from the trim point on, and then the place behind the last one to go on writing."""
        entries: list[Entry] = []
        at, sequence = self._head.trim, self._head.sequence - 1
        while (block := self._block_at(at)) is not None and block.sequence > sequence:
            entries.extend(entries_of(block))
            at, sequence = block.end, block.sequence
        torn = self._check_tail(at, sequence)
        self.position, self._sequence = at, sequence + 1
        note = f"{self.path}: {len(entries)} entries to replay" if entries else ""
        if torn:
            note += f"{'; ' if note else self.path.name + ': '}a torn group at offset {self._offset(at)} was cut off"
            note += " (it was never acknowledged)"
        return Recovered(entries=entries, note=note)

    def _check_tail(self, at: int, sequence: int) -> bool:
        """Whether a group was begun at `at` and never finished; WalError when a whole block lies further on."""
        begun = block_size(self._read(at, BLOCK_BYTES), self._head.ring_id, at) is not None
        last = self._head.trim + self._head.reach
        for offset in self._magic_offsets(at + ALIGN, last):
            lap = -(-(at + ALIGN - (offset - RING_AT)) // self.capacity)
            probe = offset - RING_AT + lap * self.capacity
            if probe < last:
                start = os.pread(self._fd, BLOCK_BYTES, offset)
                if block_size(start, self._head.ring_id, probe) is not None:
                    self._refuse_if_whole(at, probe, sequence)
        return begun

    def _magic_offsets(self, start: int, last: int) -> Iterator[int]:
        """Where in the file a block between two positions may begin."""
        size = last - start
        if size > 0:
            first, end = self._offset(start), RING_AT + self.capacity
            yield from self._magic_between(first, min(first + size, end))
            yield from self._magic_between(RING_AT, RING_AT + max(first + size - end, 0))

    def _magic_between(self, at: int, end: int) -> Iterator[int]:
        """The same between two offsets; parts that were never written are skipped, not read."""
        chunk = bytearray(PROBE_BYTES)
        while at < end:
            try:
                at = os.lseek(self._fd, at, os.SEEK_DATA) // ALIGN * ALIGN
                hole = os.lseek(self._fd, at, os.SEEK_HOLE)
            except OSError:
                return  # no data from here on
            if at >= end:
                return
            size = os.preadv(self._fd, [memoryview(chunk)[: min(hole, end) - at]], at)
            found = chunk.find(BLOCK_MAGIC, 0, size)
            while found >= 0:
                if found % ALIGN == 0 and at + found < end:
                    yield at + found
                found = chunk.find(BLOCK_MAGIC, found + 1, size)
            at += max(size, ALIGN)

    def _refuse_if_whole(self, at: int, probe: int, sequence: int) -> None:
        later = self._block_at(probe)
        if later is not None and later.sequence > sequence:
            raise WalError(
                f"{self.path}: the block at offset {self._offset(at)} is damaged, yet a whole one follows at offset"
                f" {self._offset(probe)}: this is corruption, not a torn write. Restore the file from a copy, or move"
                " it away and lose what was not uploaded"
            )

    def start_epoch(self, epoch: int, limit: int) -> None:
        """From now on blocks carry `epoch`, and sequences that no earlier opening can have used; the caller keeps no
        more than `limit` bytes untrimmed.
        """
        self._sequence = max(self._sequence, epoch << EPOCH_BITS)
        reach = limit if self.position == self._head.trim else max(limit, self._head.reach)
        head = replace(self._head, epoch=epoch, reach=min(reach, self.capacity))
        self._write_head(head)
        self.zeroing.start()

    def write(self, entries: Sequence[Entry]) -> int:
        """One group, durable when this returns; the position behind it."""
        pieces = pack_block(self._head.ring_id, self._head.epoch, self._sequence, self.position, entries)
        size = sum(map(len, pieces))
        offset = self._offset(self.position)
        self.zeroing.writer_at(offset, offset + size)
        if offset + size <= RING_AT + self.capacity and len(pieces) <= IOV_MAX:
            self._put(pieces, offset)
        else:
            whole = memoryview(b"".join(pieces))
            first = min(size, RING_AT + self.capacity - offset)
            self._put([whole[:first]], offset)
            if first < size:
                self._put([whole[first:]], RING_AT)
        self.position += size
        self._sequence += 1
        return self.position

    def _put(self, pieces: Sequence[Bytes], offset: int) -> None:
        written, wanted = write_durably(self._fd, pieces, offset), sum(map(len, pieces))
        if written != wanted:
            raise OSError(f"{written} of {wanted} bytes were written")

    def trim(self, mark: int) -> None:
        """Durably forgets everything before `mark`, a position that `write` returned."""
        if mark > self._head.trim:
            sequence = self._sequence if mark == self.position else self._head.sequence
            self._write_head(replace(self._head, trim=mark, sequence=sequence))

    def _write_head(self, head: Head) -> None:
        head = replace(head, generation=self._head.generation + 1)
        self._put([pack_head(head)], ALIGN * (head.generation % 2))
        self._head = head

    def _offset(self, position: int) -> int:
        return RING_AT + position % self.capacity

    def _read(self, position: int, size: int) -> bytes:
        offset = self._offset(position)
        first = min(size, RING_AT + self.capacity - offset)
        data = os.pread(self._fd, first, offset)
        return data if first == size else data + os.pread(self._fd, size - first, RING_AT)

    def _block_at(self, position: int) -> Block | None:
        size = block_size(self._read(position, BLOCK_BYTES), self._head.ring_id, position)
        if size is None or size > self.capacity:
            return None
        return unpack_block(self._read(position, size))

    def close(self) -> None:
        if self._fd >= 0:
            self.zeroing.stop()
            os.close(self._fd)
            self._fd = -1
