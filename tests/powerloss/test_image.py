"""The disk that loses power: it keeps what was synced, may keep the rest, and makes nothing up."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.powerloss.image import Disk
from tests.powerloss.trace import NoCompiler, build_shim, records

SEEDS = range(60)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_shim(tmp_path_factory.mktemp("shim"))
    except NoCompiler as error:
        pytest.skip(str(error))


@pytest.fixture
def after(shim: Path, tmp_path: Path) -> object:
    """Runs a program below the shim; what each of many power cuts after it left, as {name: content}."""

    def run(program: str) -> list[dict[str, bytes]]:
        root, trace = tmp_path / "disk", tmp_path / "trace"
        root.mkdir()
        environment = {
            **os.environ,
            "LD_PRELOAD": str(shim),
            "POWERLOSS_ROOT": str(root),
            "POWERLOSS_TRACE": str(trace),
        }
        subprocess.run([sys.executable, "-c", PRELUDE + program], cwd=root, env=environment, check=True)
        disk = Disk(root)
        for record in records(trace):
            disk.feed(record)
        found = []
        for seed in SEEDS:
            left = tmp_path / f"left-{seed}"
            disk.lose_power(left, Random(seed))
            found.append({str(f.relative_to(left)): f.read_bytes() for f in left.rglob("*") if f.is_file()})
        return found

    return run


PRELUDE = """
import os
def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""


def test_what_was_synced_with_its_name_is_there_whatever_happens(after) -> None:  # type: ignore[no-untyped-def]
    found = after("open('a', 'wb').write(b'x' * 9000); sync('a'); sync('.')")
    assert all(disk == {"a": b"x" * 9000} for disk in found)


def test_bytes_that_were_not_synced_may_be_missing_torn_or_there(after) -> None:  # type: ignore[no-untyped-def]
    found = after("open('a', 'wb').close(); sync('a'); sync('.'); open('a', 'r+b').write(b'x' * 9000)")
    contents = {disk["a"] for disk in found}
    assert {b"", b"x" * 9000} < contents
    assert any(0 < content.count(b"x") < 9000 for content in contents)


def test_a_name_that_was_not_synced_may_be_missing_though_its_bytes_were(after) -> None:  # type: ignore[no-untyped-def]
    found = after("open('a', 'wb').write(b'x'); sync('a')")
    assert {tuple(disk) for disk in found} == {(), ("a",)}
    assert all(disk.get("a", b"x") == b"x" for disk in found)


def test_a_rename_that_was_not_synced_leaves_the_old_name_or_the_new(after) -> None:  # type: ignore[no-untyped-def]
    found = after(
        "open('a', 'wb').write(b'new'); open('b', 'wb').write(b'old'); sync('a'); sync('b'); sync('.');"
        "os.rename('a', 'b')"
    )
    assert {tuple(sorted(disk.items())) for disk in found} == {(("a", b"new"), ("b", b"old")), (("b", b"new"),)}


def test_an_unlink_that_was_not_synced_may_come_back(after) -> None:  # type: ignore[no-untyped-def]
    found = after("open('a', 'wb').write(b'x'); sync('a'); sync('.'); os.unlink('a')")
    assert {tuple(disk) for disk in found} == {(), ("a",)}


def test_a_truncation_and_a_gathered_write_are_heard(after) -> None:  # type: ignore[no-untyped-def]
    found = after(
        "fd = os.open('a', os.O_RDWR | os.O_CREAT); os.posix_fallocate(fd, 0, 100);"
        "os.pwritev(fd, [b'one', b'two'], 10); os.ftruncate(fd, 14); os.fdatasync(fd); sync('.')"
    )
    assert all(disk == {"a": bytes(10) + b"onet"} for disk in found)


def test_a_directory_whose_name_was_not_synced_takes_all_in_it_along(after) -> None:  # type: ignore[no-untyped-def]
    found = after("os.mkdir('d'); open('d/a', 'wb').write(b'x'); sync('d/a'); sync('d')")
    assert {tuple(disk) for disk in found} == {(), ("d/a",)}
