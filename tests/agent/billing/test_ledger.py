"""What was metered, hour by hour: only watched time counts, and a restart forgets nothing that was written."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from agent.billing import ledger as ledgers
from agent.billing.errors import LedgerError
from agent.billing.ledger import Ledger
from agent.store.usage import Charge

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARGE = Charge(component="compute", for_resource="c/broker/0", usd_per_hour=6.0)


def test_a_stretch_over_the_hour_is_split_and_money_counts_by_time(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "meter.sqlite")
    ledger.record(NOON - timedelta(minutes=10), NOON + timedelta(minutes=20), [CHARGE], written_per_s=10.0)
    spent = ledger.spent(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert [(hour.at, hour.usd) for hour in spent] == [(NOON - timedelta(hours=1), 1.0), (NOON, 2.0)]
    watched = ledger.watched(NOON, NOON + timedelta(hours=1))
    assert [(hour.seconds, hour.written_bytes) for hour in watched] == [(1200.0, 12_000.0)]
    assert ledger.watched_share(date(2026, 11, 20)) == pytest.approx(1800 / 86_400)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "meter.sqlite")
    first.record(NOON, NOON + timedelta(seconds=70), [CHARGE])
    first.record(NOON + timedelta(seconds=70), NOON + timedelta(seconds=75), [CHARGE])
    again = Ledger(tmp_path / "meter.sqlite")  # as after kill -9: what was pending is gone, with its time
    assert again.watched(NOON, NOON + timedelta(hours=1))[0].seconds == 70.0
    first.close()
    assert again.watched(NOON, NOON + timedelta(hours=1))[0].seconds == 75.0


def test_old_hours_go_and_a_flood_of_resources_becomes_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MOST_RESOURCES", 3)
    ledger = Ledger(tmp_path / "meter.sqlite")
    flood = [Charge(component="network", for_resource=f"c/client/{n}", usd_per_hour=1.0) for n in range(10)]
    ledger.record(NOON, NOON + timedelta(minutes=30), flood)
    spent = ledger.spent(NOON, NOON + timedelta(hours=1))
    assert (len(spent), sum(line.usd for line in spent)) == (4, pytest.approx(5.0))
    later = NOON + timedelta(days=63)
    ledger.record(later, later + timedelta(minutes=2), [CHARGE])
    assert ledger.spent(NOON, NOON + timedelta(hours=1)) == []


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "meter.sqlite").write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(LedgerError, match=r"cannot open .*meter\.sqlite"):
        Ledger(tmp_path / "meter.sqlite")
