"""Damaged files of closed hours are put aside; files that only cannot be read now stay where they are."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.store.errors import StoreError
from agent.store.samples import SampleStore
from agent.store.seal import look
from tests.agent.store.test_failures import another_user
from tests.agent.store.test_samples import START, batch, count, opened

HOUR = timedelta(hours=1)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def rolled(directory: Path, hours: int = 2) -> SampleStore:
    store = opened(directory)
    for hour in range(hours + 1):
        store.write(batch(store, START + hour * HOUR))
    store.maintain(START + hours * HOUR + timedelta(minutes=1))
    return store


def hour_file(directory: Path, hour: int = 16) -> Path:
    return directory / "hours" / f"samples_20261122{hour}.parquet"


def test_a_file_that_this_user_may_not_read_is_no_damage(place: Path) -> None:
    rolled(place).close()
    file = hour_file(place)
    store = opened(place)
    with another_user(file), pytest.raises(StoreError, match="Permission denied"):
        count(store, "samples", START, START)
    assert file.exists()
    assert count(store, "samples", START, START + HOUR) == 6
    assert store.lost(["samples"], START, START + HOUR) == []
    store.close()


def test_a_query_that_needs_too_much_memory_or_is_wrong_is_no_damage(place: Path) -> None:
    store = rolled(place)
    file = hour_file(place)
    for sql, said in (
        ("SELECT list(repeat('x', 1000000) || i) FROM read_parquet('{}'), range(1000) t(i)", "Out of Memory"),
        ("SELECT no_such_column FROM read_parquet('{}')", "no_such_column"),
    ):
        with pytest.raises(StoreError, match=said):
            store.query(sql.format(file))
        assert file.exists()
        assert not list(place.rglob("*corrupt*"))
    assert count(store, "samples", START, START + 2 * HOUR) == 9
    store.close()


def test_a_file_that_was_taken_away_is_missed_until_it_is_back(place: Path) -> None:
    store = rolled(place)
    file = hour_file(place)
    data = file.read_bytes()
    file.unlink()
    store.maintain(START + 2 * HOUR + timedelta(minutes=2))
    assert count(store, "samples", START, START + 2 * HOUR) == 6
    assert [loss.what for loss in store.lost(["samples"], START, START)] == ["gone"]
    store.close()
    store = opened(place)
    assert any("is gone since" in note for note in store.notes())
    file.write_bytes(data)
    store.maintain(START + 2 * HOUR + timedelta(minutes=3))
    assert store.lost(["samples"], START, START) == []
    assert count(store, "samples", START, START + 2 * HOUR) == 9
    store.close()


def test_rollups_are_made_anew_from_samples_and_nothing_is_lost(place: Path) -> None:
    rolled(place).close()
    file = place / "rollups" / "rollups_2026112217.parquet"
    file.write_bytes(b"no Parquet")
    store = opened(place)
    ids = batch(store, START).series
    for _ in range(2):
        assert len(store.rollups(ids, START, START + HOUR)["series"]) == 6
        assert store.lost(["rollups"], START, START + HOUR) == []
        store.maintain(START + 2 * HOUR + timedelta(minutes=2))
    assert look(file).sealed
    assert len(list(file.parent.glob("*.corrupt-*"))) == 1
    store.close()


def test_late_rows_take_the_place_of_a_damaged_hour_and_the_loss_stays_known(place: Path) -> None:
    rolled(place).close()
    hour_file(place).write_bytes(b"")
    store = opened(place)
    store.write(batch(store, START + timedelta(minutes=30)))
    store.maintain(START + 2 * HOUR + timedelta(minutes=2))
    assert count(store, "samples", START, START + timedelta(minutes=59)) == 3
    assert len(store.lost(["samples"], START, START)) == 1
    store.close()


def test_a_loss_is_forgotten_once_its_hour_is_older_than_all_that_is_kept(tmp_path: Path) -> None:
    rolled(tmp_path, 3).close()
    hour_file(tmp_path, 17).write_bytes(b"")
    for hours, losses in ((2, 1), (1, 0)):
        store = opened(tmp_path, hours=hours)
        assert count(store, "samples", START + HOUR, START + HOUR) == 0
        store.maintain(START + 3 * HOUR + timedelta(minutes=2))
        assert len(store.lost(["samples"], START, START + 2 * HOUR)) == losses
        store.close()
    assert list(tmp_path.rglob("*.corrupt-*"))


def test_numbers_are_never_given_to_another_series_though_database_and_names_are_damaged(tmp_path: Path) -> None:
    rolled(tmp_path).close()
    (tmp_path / "samples.duckdb").write_bytes(b"no database" * 1000)
    (tmp_path / "hours" / "series.parquet").write_bytes(b"no names")
    store = opened(tmp_path)
    assert store.series_id("c", "t", "another", ()) == 3
    assert any("series.parquet" in line and "kept as" in line for line in store.said)
    store.close()
