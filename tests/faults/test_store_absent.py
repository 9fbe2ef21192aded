"""The reduced form of `python -m tests.bars.store_absent`: the store is gone for six seconds under load."""

from pathlib import Path

import pytest

from tests.bars.store_absent import run


@pytest.mark.heavy
def test_producers_slow_down_and_nothing_is_lost_while_the_store_is_absent(tmp_path: Path) -> None:
    assert run(tmp_path, absent_s=6, mb_per_s=6, pending_mib=16, after_s=9) == []
