"""Bills: the traps of a real one, both versions of FOCUS, and what a broken one says."""

import gzip
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from agent.billing.bill import Bill
from agent.billing.errors import BillError

SAMPLE = Path(__file__).parents[2] / "data" / "focus_1_0_sample.csv"
HEAD = "BilledCost,EffectiveCost,ChargePeriodStart,ChargePeriodEnd,ServiceName,ChargeDescription,ConsumedQuantity,Id\n"
GOOD = "1.5,1.5,2026-11-01 00:00:00,2026-11-01 01:00:00,S3,Requests-Tier1,300,9\n"


def costs(bill: Bill) -> dict[str, float]:
    return {line.component: line.usd for line in bill.components()}


def test_reads_every_row_of_the_public_sample_and_finds_its_cross_zone_cost() -> None:
    bill = Bill(SAMPLE)
    assert bill.size == 1000
    assert sum(line.rows for line in bill.components()) == 1000
    assert costs(bill)["network"] == pytest.approx(0.0068094198)
    assert bill.cross_zone_gb() == pytest.approx(0.34047099265)
    assert bill.unclassified == 24


def test_counts_billed_cost_where_effective_cost_is_missing_and_says_so() -> None:
    bill = Bill(SAMPLE)
    assert any("BilledCost is counted" in note for note in bill.notes)
    assert any("24 of 1000 rows fit no component" in note for note in bill.notes)


def test_keeps_a_discounted_row_at_its_effective_cost(tmp_path: Path) -> None:
    text = HEAD.strip() + ",CommitmentDiscountId\n" + GOOD.strip().replace("1.5,1.5", "5,0") + ",plan-1\n"
    (tmp_path / "bill.csv").write_text(text)
    assert costs(Bill(tmp_path / "bill.csv")) == {"requests": 0.0}


def test_reads_a_directory_of_gzip_csv_and_parquet_as_one_bill(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(HEAD + GOOD)
    duckdb.sql(
        "SELECT 2.5 AS BilledCost, 2.5 AS EffectiveCost, TIMESTAMPTZ '2026-11-01 00:00:00Z' AS ChargePeriodStart, "
        "TIMESTAMPTZ '2026-11-01 01:00:00Z' AS ChargePeriodEnd, 'S3' AS ServiceName, "
        "'TimedStorage-ByteHrs' AS SkuMeter"
    ).write_parquet(str(tmp_path / "b.parquet"))
    bill = Bill(tmp_path)
    assert costs(bill) == {"storage": 2.5, "requests": 1.5}
    rows = bill.rows(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    assert sorted(rows["BilledCost"].tolist()) == [1.5, 2.5]
    assert not len(bill.rows(datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))["BilledCost"])


def test_takes_in_a_file_that_has_grown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD + GOOD)
    bill = Bill(tmp_path)
    (tmp_path / "a.csv").write_text(HEAD + GOOD + GOOD)
    assert bill.refresh() is True
    assert bill.size == 2
    assert bill.refresh() is False


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + GOOD + GOOD.replace("1.5,1.5", "cheap,1.5"), "row 3, column BilledCost: 'cheap' is no number"),
        (HEAD + GOOD.replace("2026-11-01 01:00:00", "later"), "column ChargePeriodEnd: 'later' is no time"),
        ("a,b\n1,2\n", "no column BilledCost"),
        ("", "no column BilledCost|not a FOCUS file"),
    ],
)
def test_names_file_row_and_column_of_a_malformed_bill(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "bill.csv").write_text(content)
    with pytest.raises(BillError, match=said) as caught:
        Bill(tmp_path / "bill.csv")
    assert "bill.csv" in str(caught.value)


def test_refuses_a_damaged_parquet_file_a_missing_one_and_another_kind(tmp_path: Path) -> None:
    (tmp_path / "bill.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(BillError, match=r"bill\.parquet is not a FOCUS file"):
        Bill(tmp_path / "bill.parquet")
    with pytest.raises(BillError, match="there is no bill"):
        Bill(tmp_path / "none.csv")
    shutil.copy(SAMPLE, tmp_path / "bill.xls")
    with pytest.raises(BillError, match="export the bill as FOCUS"):
        Bill(tmp_path / "bill.xls")
