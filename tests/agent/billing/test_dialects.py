"""One table from many spellings: CUR 2.0, and FOCUS as AWS, Azure and GCP export it."""

import json
from pathlib import Path

import duckdb
import pytest

from agent.billing.bill import Bill
from agent.billing.errors import BillError
from agent.billing.files import FileBill
from agent.billing.scope import Scope
from tests.agent.billing.test_bill import GOOD, HEAD, costs

CUR_HEAD = (
    "bill_payer_account_id,line_item_usage_account_id,line_item_line_item_type,line_item_usage_start_date,"
    "line_item_usage_end_date,line_item_product_code,line_item_usage_type,line_item_operation,line_item_usage_amount,"
    "line_item_unblended_cost,line_item_currency_code,line_item_resource_id,savings_plan_savings_plan_effective_cost,"
    "savings_plan_savings_plan_a_r_n,savings_plan_total_commitment_to_date,savings_plan_used_commitment,resource_tags\n"
)
HOUR = "2026-11-01T00:00:00.000Z,2026-11-01T01:00:00.000Z"
CUR_ROWS = (
    f'1,2,Usage,{HOUR},AmazonS3,Requests-Tier1,PutObject,1000,0.005,USD,bucket,,,,,"{{""user_cluster"":""prod""}}"\n'
    f"1,2,Usage,{HOUR},AmazonEC2,USE1-DataTransfer-Regional-Bytes,InterZone-In,50,0.5,USD,i-1,,,,,\n"
    f"1,2,SavingsPlanCoveredUsage,{HOUR},AmazonEC2,BoxUsage:m7g.large,RunInstances,1,0.0816,USD,i-1,0.05,arn:sp,,,\n"
    f"1,2,SavingsPlanNegation,{HOUR},AmazonEC2,BoxUsage:m7g.large,,1,-0.0816,USD,i-1,,arn:sp,,,\n"
    f"1,2,SavingsPlanRecurringFee,{HOUR},ComputeSavingsPlans,ComputeSP:1yrNoUpfront,,1,0.06,USD,,,arn:sp,0.06,0.05,\n"
    f"1,2,Tax,{HOUR},AmazonEC2,,,0,0.1,USD,,,,,,\n"
)


def first(bill: Bill, *columns: str) -> tuple:
    return bill._rows(f"SELECT {', '.join(columns)} FROM lines")[0]


def test_a_cur_is_known_by_its_columns_and_priced_by_its_line_types(tmp_path: Path) -> None:
    (tmp_path / "cur.csv").write_text(CUR_HEAD + CUR_ROWS)
    bill = Bill(tmp_path)
    assert bill.size == 6
    assert costs(bill)["requests"] == pytest.approx(0.005)
    assert costs(bill)["network"] == pytest.approx(0.5)
    assert costs(bill)["compute"] == pytest.approx(0.05 + 0.01)  # covered at its share, and the idle rest
    assert costs(bill)["unclassified"] == pytest.approx(0.1)  # a tax is for nothing in particular
    assert bill.cross_zone_gb() == 25.0


def test_a_cur_in_parquet_has_its_tags_in_a_map(tmp_path: Path) -> None:
    duckdb.sql(
        "SELECT 'AmazonS3' AS line_item_product_code, 'TimedStorage-ByteHrs' AS line_item_usage_type, "
        "2.5::DOUBLE AS line_item_unblended_cost, TIMESTAMP '2026-11-01' AS line_item_usage_start_date, "
        "TIMESTAMP '2026-11-01 01:00:00' AS line_item_usage_end_date, MAP {'user_cluster': 'prod'} AS resource_tags"
    ).write_parquet(str(tmp_path / "cur.parquet"))
    bill = Bill(FileBill(tmp_path, "cur"), Scope(tags={"cluster": "prod"}))
    assert costs(bill) == {"storage": 2.5}


def test_a_cur_that_was_promised_and_is_none_names_the_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD + GOOD)
    with pytest.raises(BillError, match="no column line_item_usage_type: it is no AWS CUR"):
        Bill(FileBill(tmp_path, "cur"))


def test_the_usage_type_is_found_in_either_version_of_aws(tmp_path: Path) -> None:
    for name, column in (("old.csv", "x_UsageType"), ("new.csv", "SkuMeter")):
        (tmp_path / name).write_text(
            HEAD.strip() + f",{column}\n" + GOOD.strip().replace("Requests-Tier1", "words") + ",TimedStorage-ByteHrs\n"
        )
    assert costs(Bill(tmp_path)) == {"storage": 3.0}


def test_azure_writes_times_without_seconds_and_tags_without_braces(tmp_path: Path) -> None:
    (tmp_path / "azure.csv").write_text(
        "BilledCost,EffectiveCost,ChargePeriodStart,ChargePeriodEnd,ServiceName,x_SkuMeterName,Tags\n"
        "0.5,0.5,2026-11-01T00:00Z,2026-11-02T00:00Z,Storage Accounts,Hot LRS Write Operations,"
        '"""cluster"": ""prod"""\n'
    )
    bill = Bill(FileBill(tmp_path), Scope(tags={"cluster": "prod"}))
    assert costs(bill) == {"requests": 0.5}
    assert first(bill, "ChargePeriodEnd - ChargePeriodStart = INTERVAL 1 DAY")[0]


def test_gcp_lists_its_tags_and_names_the_zone_of_time(tmp_path: Path) -> None:
    tags = json.dumps([{"key": "cluster", "value": "prod"}]).replace('"', '""')
    (tmp_path / "gcp.csv").write_text(
        "BilledCost,EffectiveCost,ChargePeriodStart,ChargePeriodEnd,ServiceName,ChargeDescription,Tags\n"
        "0.25,0.25,2026-11-01 00:00:00 UTC,2026-11-01 01:00:00 UTC,Compute Engine,"
        f'Network Inter Zone Data Transfer Out,"{tags}"\n'
    )
    duckdb.sql(
        "SELECT 0.5::DECIMAL(18, 9) AS BilledCost, 0.5::DECIMAL(18, 9) AS EffectiveCost, "
        "'Cloud Storage' AS ServiceName, [{'key': 'cluster', 'value': 'prod'}] AS Tags, "
        "TIMESTAMPTZ '2026-11-01 00:00:00Z' AS ChargePeriodStart, "
        "TIMESTAMPTZ '2026-11-01 01:00:00Z' AS ChargePeriodEnd, "
        "'Standard Storage US Regional' AS ChargeDescription"
    ).write_parquet(str(tmp_path / "gcp.parquet"))
    assert costs(Bill(FileBill(tmp_path), Scope(tags={"cluster": "prod"}))) == {"storage": 0.5, "network": 0.25}


def test_rows_of_others_and_rows_without_the_tag_are_kept_apart_and_counted(tmp_path: Path) -> None:
    head = HEAD.strip() + ",SubAccountId,Tags\n"
    tagged = '"{""cluster"": ""prod""}"'
    lines = [f",a,{tagged}\n", ",a,\n", f",b,{tagged}\n", ',a,"{""cluster"": ""test""}"\n', ",a,no json\n"]
    (tmp_path / "bill.csv").write_text(head + "".join(GOOD.strip() + line for line in lines))
    bill = Bill(FileBill(tmp_path), Scope(account="a", tags={"cluster": "prod"}))
    assert bill.owners() == {"ours": 1, "untagged": 2, "others": 2}
    assert costs(bill) == {"requests": 1.5}
    assert any("2 rows lack a tag of cluster=prod" in note for note in bill.notes)
    assert any("2 rows are of other accounts" in note for note in bill.notes)


def test_amounts_stay_in_the_bills_currency(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_text(HEAD.strip() + ",BillingCurrency\n" + GOOD.strip() + ",EUR\n")
    (line,) = Bill(tmp_path).components()
    assert (line.currency, line.usd) == ("EUR", 1.5)
    assert any("in EUR" in note for note in Bill(tmp_path).notes)
