"""The reduced form of `make fuzz`: every API and version of a real broker process, some frames each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.run import fuzz


@pytest.mark.heavy
def test_bad_frames_and_forged_batches_hurt_nothing_but_their_own_connection(tmp_path: Path) -> None:
    verdict = fuzz(tmp_path, seed=7, frames=12)
    assert verdict["faults"] == []
    assert int(str(verdict["frames"])) > 12 * int(str(verdict["apis"]))
