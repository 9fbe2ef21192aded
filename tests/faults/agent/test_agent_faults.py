"""Reduced forms of `make agent-faults`: what must hold, without the figures that need a quiet machine, nor the target
that goes away, which takes minutes of waiting."""

from pathlib import Path

import pytest

from tests.faults.agent.clocks import acted, stepped
from tests.faults.agent.damage import corrupted
from tests.faults.agent.disk import filled
from tests.faults.agent.files import spoilt
from tests.faults.agent.kill import killed


def test_kills_lose_no_committed_round_and_tear_none(tmp_path: Path) -> None:
    verdict = killed(tmp_path, 2, bar_s=60.0)
    assert verdict.ok, verdict.figure


def test_damaged_files_are_put_aside_and_rounds_go_on(tmp_path: Path) -> None:
    verdict = corrupted(tmp_path, 5)
    assert verdict.ok, verdict.figure


def test_damaged_files_of_closed_hours_cost_their_own_rows_and_nothing_else(tmp_path: Path) -> None:
    verdict = spoilt(tmp_path, 10)
    assert verdict.ok, verdict.figure


def test_a_full_disk_ends_nothing_and_every_sample_is_accounted_for(tmp_path: Path) -> None:
    verdict = filled(tmp_path / "disk", 1, rounds=11)
    if verdict.ok is None:
        pytest.skip(verdict.figure)
    assert verdict.ok, verdict.figure


def test_clock_jumps_give_no_negative_rate_and_wipe_nothing(tmp_path: Path) -> None:
    verdict = stepped(tmp_path, rounds=2)
    assert verdict.ok, verdict.figure


async def test_clock_jumps_make_no_action_happen_twice(tmp_path: Path) -> None:
    verdict = await acted(tmp_path)
    assert verdict.ok, verdict.figure
