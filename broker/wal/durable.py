"""A write that is on its medium when it returns, in one call: between two, the writer's thread would have to get the
interpreter back, for which the loop's thread may let it wait 5 ms.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

Bytes = bytes | bytearray | memoryview


def write_durably(fd: int, pieces: Sequence[Bytes], offset: int) -> int:
    """How many bytes of `pieces`, at most 1,024 of them, were written at `offset` and synced. OSError."""
    try:
        return os.pwritev(fd, pieces, offset, os.RWF_DSYNC)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    written = os.pwritev(fd, pieces, offset)
    os.fdatasync(fd)
    return written
