"""The reduced form of `make lose-everything`: the same ids once, new ones once."""

from pathlib import Path

import pytest

from tests.faults.lose_everything import run


@pytest.mark.heavy
def test_brokers_on_a_bucket_and_a_database_need_no_disk_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "")
    assert run(deaths=2, directory=tmp_path, metadata="postgres")
