"""The reduced form of `make eos`: two kills, about a thousand records."""

from pathlib import Path

import pytest

from tests.eos.run import Plan, run


@pytest.mark.heavy
def test_two_kills_leave_the_output_the_input_once_and_in_order(tmp_path: Path) -> None:
    assert run(Plan(seed=7, seconds=7, records_per_s=150, broker_kills=1, worker_kills=1), tmp_path)
