"""The bill's rows: quantities, prices, both sides of a transfer, and whose they are."""

import json

import pytest

from broker.bill.focus import COLUMNS, Subject, rows_of
from broker.bill.prices import load_prices
from broker.bill.usage import HOUR_MS, HourUsage

PRICES = load_prices()
SUBJECT = Subject(
    cluster="demo",
    broker=2,
    zone="z1",
    instance_type="m7g.large",
    spot=False,
    store="s3://bucket",
    volume_bytes=256 * 2**20,
)
HOUR = HourUsage(
    start_ms=495_000 * HOUR_MS,
    up_s=1800,
    tier1_requests=2000,
    tier2_requests=10_000,
    cross_zone_bytes=3 * 2**30,
    stored_byte_hours=730 * 2**30,
)


def costs(subject=SUBJECT, hour=HOUR):
    found = {}
    for row in rows_of(hour, subject, PRICES):
        found.setdefault(row["SkuMeter"], []).append(row["EffectiveCost"])
    return found


def test_each_meter_costs_quantity_times_price():
    found = costs()
    assert found["Requests-Tier1"] == [pytest.approx(0.01)]
    assert found["Requests-Tier2"] == [pytest.approx(0.004)]
    assert found["TimedStorage-ByteHrs"] == [pytest.approx(0.023)]
    assert found["BoxUsage:m7g.large"] == [pytest.approx(0.0408)]
    assert found["EBS:VolumeUsage.gp3"] == [pytest.approx(0.08 * 0.5 / 730)]


def test_a_transfer_between_zones_is_charged_on_both_sides():
    assert costs()["DataTransfer-Regional-Bytes"] == [pytest.approx(0.03), pytest.approx(0.03)]


def test_spot_machines_have_their_own_meter():
    spot = Subject(**{**vars(SUBJECT), "spot": True})
    assert costs(spot)["SpotUsage:m7g.large"] == [pytest.approx(0.0163)]


def test_what_was_not_used_has_no_row():
    idle = HourUsage(start_ms=HOUR.start_ms, up_s=60)
    assert set(costs(hour=idle)) == {"BoxUsage:m7g.large", "EBS:VolumeUsage.gp3"}


def test_rows_have_the_57_columns_and_name_cluster_and_broker():
    assert len(COLUMNS) == 57
    for row in rows_of(HOUR, SUBJECT, PRICES):
        assert list(row) == list(COLUMNS)
        assert json.loads(row["Tags"]) == {"cluster": "demo", "broker": "2"}
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingPeriodStart"].endswith("-01T00:00:00Z")


def test_an_unknown_machine_is_refused_by_name():
    with pytest.raises(ValueError, match=r"x9\.huge.*m7g\.large"):
        PRICES.instance("x9.huge")
