"""The reduced form of `make kill`: two kills, and time for a busy machine to have the partitions elsewhere."""

from pathlib import Path

import pytest

from tests.faults.kill import run


@pytest.mark.heavy
def test_two_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    assert run(kills=2, seed=7, directory=tmp_path, flags=("--no-bill", "--wal-size", "64MiB"), limit_s=60.0)
