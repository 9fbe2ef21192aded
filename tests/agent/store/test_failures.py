"""A database file that is whole stays where it is, whatever stands in the way; each obstacle here is a real one."""

import os
import resource
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agent.model.clock import HandClock
from agent.store.errors import StoreError
from agent.store.samples import SampleStore
from tests.agent.store.test_samples import START, batch, count, opened
from tests.chaos.smalldisk import SmallDisk

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def another_user(file: Path) -> Iterator[None]:
    """Someone who may not open the file; root may open all, so a test that runs as root becomes nobody."""
    mode = stat.S_IMODE(file.stat().st_mode)
    file.chmod(0o600 if os.geteuid() == 0 else 0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        file.chmod(mode)


@contextmanager
def no_more_files(_: Path) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for handle in taken:
            os.close(handle)


def whole(directory: Path) -> Path:
    store = opened(directory)
    assert store.write(batch(store, START, series=2000))
    store.close()
    return directory / "samples.duckdb"


@pytest.mark.parametrize(
    ("obstacle", "remedy"),
    [
        (another_user, "Permission denied.*; let user"),
        (no_more_files, "Too many open files.*raise the limit of open files"),
    ],
)
def test_a_file_that_cannot_be_opened_is_named_with_the_next_step_and_not_moved(
    place: Path, obstacle: Callable[[Path], AbstractContextManager[None]], remedy: str
) -> None:
    file = whole(place)
    before = file.read_bytes()
    with obstacle(file), pytest.raises(StoreError, match=remedy) as refused:
        opened(place)
    assert str(file.parent) in str(refused.value)
    assert file.read_bytes() == before
    assert not list(place.glob("*corrupt*"))
    again = opened(place)
    assert count(again, "samples", START, START) == 2000
    again.close()


def test_a_memory_limit_that_is_too_low_is_no_damage(place: Path) -> None:
    file = whole(place)
    with pytest.raises(StoreError, match=r"Out of Memory.*raise memory_limit under \[agent\]"):
        SampleStore(place, clock=HandClock(START), memory_limit="1KB")
    assert file.exists()
    assert not list(place.glob("*corrupt*"))


def test_a_directory_in_the_files_place_stays(place: Path) -> None:
    (place / "samples.duckdb").mkdir()
    with pytest.raises(StoreError, match="move what is in its place away"):
        opened(place)
    assert (place / "samples.duckdb").is_dir()


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "small")
    if not disk.mounted:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    try:
        (tmp_path / "small" / "store").mkdir()
        file = whole(tmp_path / "small" / "store")
        store = opened(file.parent)
        disk.fill()
        refused = [store.write(batch(store, START, series=5000)) for _ in range(3)]
        assert not any(refused)
        store.close()
        assert not list(file.parent.glob("*corrupt*"))
        disk.empty()
        again = opened(file.parent)
        assert again.write(batch(again, START, series=2000))
        again.close()
    finally:
        disk.stop()


def test_statements_that_are_wrong_twice_do_not_cost_the_file(place: Path) -> None:
    whole(place)
    store = opened(place)
    for _ in range(3):
        broken = batch(store, START)
        broken.tables["events"]["no_such_column"] = broken.tables["events"]["kind"]
        assert store.write(broken) is False
    assert store.write(batch(store, START))
    assert not list(place.glob("*corrupt*"))
    assert count(store, "samples", START, START) == 2003
    store.close()
