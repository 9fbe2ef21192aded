"""A local directory as a store: what it does to the disk."""

import os
from pathlib import Path
from typing import Any

from broker.objects.layout import Blob
from broker.objects.local import GENTLE_BYTES, put_durably


def test_a_large_object_is_handed_to_the_disk_in_small_parts(tmp_path: Path, monkeypatch: Any) -> None:
    """A WAL on the same disk waits behind whatever is not written yet."""
    data, sizes, sync = os.urandom(5 * GENTLE_BYTES // 2), [], os.fdatasync

    def watched(fd: int) -> None:
        sizes.append(os.fstat(fd).st_size)
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", watched)
    pieces = [data[:7], data[7 : 2 * GENTLE_BYTES - 3], b"", data[2 * GENTLE_BYTES - 3 :]]
    put_durably(tmp_path / "objects" / "large", Blob(pieces=pieces, size_bytes=len(data)), create=True)
    assert sizes == [GENTLE_BYTES, 2 * GENTLE_BYTES], "and the rest is for the last fsync"
    assert (tmp_path / "objects" / "large").read_bytes() == data
