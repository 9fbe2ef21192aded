"""Where a `file://` WAL is, and whether what lies under it may hold a WAL whose fence is a lock of this host.

file:///directory                 a disk of this host
file:///directory?fence=verify    a network volume or a shared directory
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

from broker.wal.base import WalError

SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "beegfs", "gpfs", "afs", "fuse"})
"""File system types in /proc/self/mountinfo that other hosts may write to; `fuse.*` too (sshfs, glusterfs, s3fs)."""
MOUNTS = Path("/proc/self/mountinfo")


def directory_of(url: str) -> Path:
    """The directory of a `file://` WAL URL; WalError for anything else."""
    return _split(url)[0]


def verifies(url: str) -> bool:
    """Whether the URL asks for the fence of shared directories. WalError for a `file://` URL that makes no sense."""
    return url.startswith("file://") and _split(url)[1]


def _split(url: str) -> tuple[Path, bool]:
    scheme, _, rest = url.partition("://")
    path, mark, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if scheme != "file" or not path.startswith("/") or (mark and options != {"fence": "verify"}):
        raise WalError(f"WAL {url}: write file:///directory or file:///directory?fence=verify")
    return Path(path), bool(mark)


def file_system(directory: Path, mounts: str) -> str:
    """The type of the file system that `directory` is or will be on, by the lines of a mountinfo file."""
    best, found = Path("/"), "unknown"
    real = directory.resolve()
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields = head.split(" ")
        if len(fields) < 5 or not tail:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))  # spaces are \040 there
        if (real == point or point in real.parents) and len(point.parts) >= len(best.parts):
            best, found = point, tail.split(" ", 1)[0]
    return found


def refuse_shared(url: str, mounts: str) -> None:
    """WalError when a plain `file://` WAL lies where other hosts may write: the lock of this host is no fence there."""
    directory = directory_of(url)
    kind = file_system(directory, mounts)
    if kind in SHARED or kind.startswith("fuse."):
        raise WalError(
            f"WAL {url} is on {kind}, which other hosts can write to, so a lock is no fence there:"
            f" give --wal file://{directory}?fence=verify, or a local disk"
        )
