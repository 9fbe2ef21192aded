"""How a ring file comes to be: allocated at once, and filled with zeros ahead of its writer.

Blocks that are only allocated are still marked unwritten in the file system, so that the sync of the first write to
each also commits metadata: 0.3 ms instead of 0.15 (docs/decisions/0005). Zeros take that away, but 256 MiB of them may
take longer than a broker has for its start. So the first segment is zeroed before the file gets its name, and a
background thread goes on from there.

1. The whole ring is allocated before the first record: a full disk is met at the start and never by an append.
2. Zeros are written only to holes, and only where the writer has not been: each piece is claimed under a lock.
3. Nothing rests on the zeros: a ring that was never zeroed, as earlier releases left them, is read and written the
   same way.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from broker.wal.base import WalError
from broker.wal.directories import make_directory, sync_directory
from broker.wal.layout import ALIGN, RING_AT, Head, pack_head

FIRST_BYTES = 16 * 1024 * 1024
"""Zeroed before the broker starts: what its first seconds write."""
PIECE_BYTES = 1024 * 1024
"""Zeroed under one lock and synced at once, so that no group commit waits for more than this."""
_ZEROS = bytes(PIECE_BYTES)


class Zeroing:
    """The rest of a ring that is still a hole, from `_next` to `_end`; the writer and the zeroing thread share it."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wal-zeros", daemon=True)
        self._next, self._end = _hole(fd, start, end)

    def start(self) -> None:
        """Zeroes what is left, in a thread of its own."""
        if self._next < self._end:
            self._thread.start()

    def writer_at(self, start: int, end: int) -> None:
        """The writer is about to write these bytes of the file: they, and all before them, are no hole any more."""
        if start < self._end and end > self._next:
            with self._lock:
                self._next = max(self._next, min(end, self._end))

    @property
    def left_bytes(self) -> int:
        return max(self._end - self._next, 0)

    def stop(self) -> None:
        """Returns when the thread writes no more: only then may the file be closed."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.is_set() and self._zero_piece():
                os.fdatasync(self._fd)
        except OSError:
            return  # the writer meets the same disk, and its errors count

    def _zero_piece(self) -> bool:
        with self._lock:
            size = min(PIECE_BYTES, self._end - self._next)
            if size <= 0:
                return False
            self._next += os.pwrite(self._fd, memoryview(_ZEROS)[:size], self._next)
        return True


def _hole(fd: int, start: int, end: int) -> tuple[int, int]:
    """The first hole between two offsets, in whole pages; empty where there is none, or where holes cannot be seen."""
    try:
        hole = -(-os.lseek(fd, start, os.SEEK_HOLE) // ALIGN) * ALIGN
    except OSError:
        return end, end
    try:
        data = os.lseek(fd, hole, os.SEEK_DATA) // ALIGN * ALIGN
    except OSError:
        data = end  # nothing but a hole from there on
    return min(hole, end), min(data, end)


def make(path: Path, capacity: int, ring_id: bytes) -> None:
    """Allocates a ring of `capacity` bytes, zeroes its first segment, and gives it its name, durably."""
    make_directory(path.parent)
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(fd, 0, RING_AT + capacity)
        for at in range(0, min(FIRST_BYTES, capacity), PIECE_BYTES):
            os.pwrite(fd, memoryview(_ZEROS)[: min(PIECE_BYTES, capacity - at)], RING_AT + at)
        head = Head(generation=0, ring_id=ring_id, capacity=capacity, trim=0, sequence=1, epoch=0, reach=capacity)
        os.pwrite(fd, pack_head(head), 0)
        os.fsync(fd)
        temporary.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WalError(
            f"{path}: cannot allocate {capacity} bytes: {error.strerror}; free the disk or give --wal-size"
        ) from error
    finally:
        os.close(fd)
