"""The reduced form of `make chaos`: one cell, two kills, a few thousand records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.cells import CELLS
from tests.chaos.faults import CALM
from tests.chaos.plants import HUNTS
from tests.chaos.run import Plan, run_cell


@pytest.mark.heavy
def test_two_kills_and_a_moved_partition_show_no_anomaly(tmp_path: Path) -> None:
    plan = Plan(
        cell=CELLS["sqlite-file-disk"],
        rounds=1,
        seconds_each=8.0,
        seed=3,
        profile=replace(CALM, kills=15, moves=7.5),
        per_s=400.0,
        collect=False,
    )
    outcome = run_cell(plan, tmp_path)
    assert list(outcome.anomalies) == []
    assert outcome.acked >= 1_000
    assert outcome.tally["kills"] == 2


@pytest.mark.heavy
def test_an_answer_before_the_sync_is_found(tmp_path: Path) -> None:
    hunt = HUNTS["ack before sync"]
    outcome = run_cell(replace(hunt.plan("ack before sync", 1), seconds_each=8.0), tmp_path)
    assert {anomaly.kind for anomaly in outcome.anomalies} & hunt.shows
