"""Which directories a plain `file://` WAL may be in."""

from pathlib import Path

import pytest

from broker.wal.base import WalError
from broker.wal.places import directory_of, file_system, refuse_shared, verifies

MOUNTS = r"""
22 1 252:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:45 / /mnt/team\040share rw,relatime - nfs4 files.example:/export rw,vers=4.2
31 22 0:46 / /mnt/efs rw - nfs4 127.0.0.1:/ rw
32 31 0:47 / /mnt/efs/local rw - xfs /dev/vdb rw
33 22 0:48 / /mnt/bucket rw - fuse.s3fs s3fs rw
34 22 0:49 / /mnt/office rw - cifs //server/share rw
""".strip()


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/wal", "ext4"),
        ("/mnt/team share/wal", "nfs4"),
        ("/mnt/efs/wal/0", "nfs4"),
        ("/mnt/efs/local/wal", "xfs"),
        ("/mnt/efsx", "ext4"),
    ],
)
def test_a_directory_is_on_the_deepest_mount_above_it(directory: str, kind: str) -> None:
    assert file_system(Path(directory), MOUNTS) == kind


@pytest.mark.parametrize("directory", ["/mnt/team share/wal", "/mnt/efs", "/mnt/bucket/wal", "/mnt/office/w"])
def test_a_lock_of_this_host_is_refused_as_a_fence_where_other_hosts_can_write(directory: str) -> None:
    with pytest.raises(WalError, match=rf"file://{directory}\?fence=verify"):
        refuse_shared(f"file://{directory}", MOUNTS)


def test_a_local_disk_may_hold_any_wal() -> None:
    for url in ("file:///var/wal", "file:///var/wal?fence=verify"):
        refuse_shared(url, MOUNTS)
    assert file_system(Path("/var/wal"), MOUNTS) not in ("nfs4", "cifs", "fuse.s3fs", "9p")


def test_the_fence_is_read_from_the_url() -> None:
    assert verifies("file:///d?fence=verify")
    assert not verifies("file:///d")
    assert not verifies("s3://bucket/prefix?region=x")
    assert directory_of("file:///d?fence=verify") == Path("/d")


@pytest.mark.parametrize("url", ["file:///d?fence=lease", "file:///d?verify", "file:///d?", "file://d", "file://"])
def test_a_url_that_names_no_fence_we_have_is_refused(url: str) -> None:
    with pytest.raises(WalError, match=r"write file:///directory or file:///directory\?fence=verify"):
        directory_of(url)
