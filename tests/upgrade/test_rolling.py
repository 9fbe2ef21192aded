"""The reduced form of `make upgrade`: one broker upgraded, and one of each release killed while both are there."""

from pathlib import Path

import pytest

from tests.upgrade.rolling import NoHistory, previous_release, run


@pytest.mark.heavy
def test_the_previous_release_and_this_one_run_on_one_store(tmp_path: Path) -> None:
    try:
        previous_release(tmp_path / "look")
    except NoHistory as error:
        pytest.skip(str(error))
    assert run(tmp_path, pause_s=0.3, count=3)
