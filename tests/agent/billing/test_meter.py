"""The golden cases of the design's cost page, to the cent, and the meter that uses the same arithmetic."""

from dataclasses import replace

import pytest

from agent.billing.errors import PriceError
from agent.billing.meter import GIB, Meter, requests_usd, storage_usd, transfer_usd
from agent.billing.pricebook import PRICES as FOLDER
from agent.billing.pricebook import book_of, load_prices
from agent.store.usage import BrokerUsage, Usage

MONTH_S = 2_592_000
WRITTEN = MONTH_S * GIB
"""1 GiB/s for 30 days."""
PRICES = load_prices()


@pytest.mark.parametrize(
    ("usd", "expected"),
    [
        (transfer_usd(WRITTEN * (2 / 3 + 2), PRICES.cross_zone_gb), 138_240.00),
        (storage_usd(3 * 86_400 * 3 * GIB, 0.09), 69_984.00),
        (storage_usd(259_200 * GIB, PRICES.object_gb_month), 5_961.60),
        (requests_usd(128 * MONTH_S, PRICES.tier1), 1_658.88),
        (requests_usd(64 * MONTH_S, PRICES.tier1), 829.44),
        (transfer_usd(WRITTEN * 2 / 3, PRICES.cross_zone_gb), 34_560.00),
        (requests_usd(3 * 4 * MONTH_S, PRICES.tier1), 155.52),
        (requests_usd(3 * 1 * MONTH_S, PRICES.tier1), 38.88),
        (requests_usd(3 / 5 * MONTH_S, PRICES.tier1), 7.78),
        (requests_usd(3 / 60 * MONTH_S, PRICES.tier1), 0.65),
        (6 * 476.544, 2_859.26),
        (138_240 + 69_984 + 18_447, 226_671.00),
    ],
)
def test_golden_case(usd: float, expected: float) -> None:
    assert round(usd, 2) == expected


@pytest.mark.parametrize(("size", "usd"), [(64 << 10, 0.080), (1 << 20, 0.0051), (4 << 20, 0.0013), (16 << 20, 0.0003)])
def test_put_cost_of_a_gib_by_object_size(size: int, usd: float) -> None:
    assert requests_usd(GIB / size, PRICES.tier1) == pytest.approx(usd, rel=0.1)


def test_charges_each_use_to_whom_it_is_spent_for() -> None:
    usage = Usage(
        brokers=(
            BrokerUsage(resource="c/broker/0", instance_type="m7g.large", spot=False, wal_bytes=10 * GIB),
            BrokerUsage(resource="c/broker/1", instance_type="unheard-of", spot=True, wal_bytes=None),
        ),
        requests_per_s={("c/broker/0", "put"): 2.0, ("c/broker/0", "get"): 10.0, ("c/broker/0", "delete"): 99.0},
        cross_zone_bytes_per_s={"c/client/far": GIB / 3600},
        stored_bytes={"c/topic/t": 730 * GIB},
    )
    meter = Meter(PRICES)
    charges = {(charge.component, charge.for_resource): charge.usd_per_hour for charge in meter.charges(usage)}
    assert charges == {
        ("compute", "c/broker/0"): PRICES.on_demand["m7g.large"],
        ("wal", "c/broker/0"): pytest.approx(0.8 / 730),
        ("requests", "c/broker/0"): pytest.approx(7200 * 0.000005 + 36000 * 0.0000004),
        ("network", "c/client/far"): pytest.approx(0.02),
        ("storage", "c/topic/t"): pytest.approx(0.023),
    }
    assert meter.notes == (
        "compute is not counted: the price book AWS us-east-1 (2026-11-01) has no spot price for 'unheard-of': "
        "it has c7g.large, m6i.large, m7g.large, m7g.medium, m7g.xlarge, r6in.large",
    )


def test_a_broker_whose_type_nobody_knows_costs_the_default_and_that_is_said() -> None:
    meter = Meter(PRICES)
    (charge,) = meter.charges(
        Usage(brokers=(BrokerUsage(resource="c/broker/0", instance_type=None, spot=False, wal_bytes=None),))
    )
    assert charge.usd_per_hour == PRICES.on_demand[PRICES.default_instance]
    assert meter.notes == ("no instance type is known: m7g.large of AWS us-east-1 (2026-11-01) is counted",)


def test_logs_on_volumes_and_copies_in_other_zones_cost_what_a_kafka_costs() -> None:
    usage = Usage(volume_bytes={"c/topic/t": 730 * GIB}, replicated_bytes_per_s={"c/topic/t": 2 * GIB / 3600})
    charges = {charge.component: charge.usd_per_hour for charge in Meter(PRICES).charges(usage)}
    assert charges == {"storage": pytest.approx(0.08), "network": pytest.approx(0.04)}


def test_follows_another_price_book() -> None:
    dearer = Meter(replace(PRICES, tier1=PRICES.tier1 * 2))
    assert dearer.request_price("put") == 2 * Meter(PRICES).request_price("put")


def test_names_what_a_price_book_lacks(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('provider = "AWS"\n')
    with pytest.raises(PriceError, match=r"mine\.toml lacks 'region'"):
        load_prices(path)


def test_every_price_book_is_dated_and_found_by_cloud_and_region() -> None:
    for name in ("aws/us-east-1", "AWS/eu-west-1", "alibaba/cn-hangzhou", "gcp/us-central1", "azure/eastus"):
        book = book_of(name)
        assert book.taken_down.year >= 2025
        assert book.instance_hour(None, spot=False) > book.instance_hour(None, spot=True) > 0
    assert len(list(FOLDER.glob("*.toml"))) == 5


def test_a_region_without_a_price_book_is_named_with_those_there_are() -> None:
    with pytest.raises(
        PriceError, match="no price book for 'aws/mars-1': there are alibaba/cn-hangzhou, aws/eu-west-1"
    ):
        book_of("aws/mars-1")
