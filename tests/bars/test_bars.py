"""Reduced forms of two bars: nothing is lost and no error reaches a client. The figures need a machine of their own."""

from pathlib import Path

import pytest

from tests.bars import drain, moves
from tests.faults.brokers import SMALL


@pytest.mark.heavy
@pytest.mark.parametrize("idempotent", [True, False])
def test_moves_lose_nothing_and_reach_no_application(tmp_path: Path, idempotent: bool) -> None:
    assert moves.run(4, 2.0, tmp_path, idempotent=idempotent, bar_s=30.0, flags=SMALL)


@pytest.mark.heavy
def test_a_drain_and_a_notice_leave_nothing_behind(tmp_path: Path) -> None:
    assert drain.run(20, 2.0, tmp_path, flags=SMALL, bar_s=90.0)
