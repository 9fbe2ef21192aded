"""The reduced form of `make powerloss`: a few power cuts, and each forgotten sync found (laws 1 and 7)."""

import shutil
from pathlib import Path

import pytest

from tests.powerloss.launch import PLANTS
from tests.powerloss.run import run

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("cc")), reason="the layer is compiled: needs gcc"),
]


@pytest.mark.parametrize(("wal", "points"), [("disk", 12), ("shared", 5), ("objects", 5)])
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, wal: str, points: int) -> None:
    verdict = run(seed=1, points=points, directory=tmp_path, wal=wal, seconds=2.5)
    assert verdict.faults == []
    assert verdict.points == points
    assert verdict.acknowledged > 100


@pytest.mark.parametrize("plant", PLANTS)
def test_a_forgotten_sync_is_found(tmp_path: Path, plant: str) -> None:
    verdict = run(seed=1, points=60, directory=tmp_path, plant=plant, seconds=2.5, first_only=True)
    assert verdict.faults
