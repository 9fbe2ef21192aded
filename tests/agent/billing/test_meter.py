"""The meter: each use to whom it is spent for, at a dated price; what has no price is said by name."""

from dataclasses import replace

import pytest

from agent.billing.arithmetic import GIB
from agent.billing.errors import PriceError
from agent.billing.meter import Meter
from agent.billing.pricebook import PRICES as FOLDER
from agent.billing.pricebook import book_of, load_prices
from agent.store.usage import BrokerUsage, Usage

PRICES = load_prices()


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
    assert meter.notes == (
        "no instance type is known: m7g.large of AWS us-east-1 (2026-11-01) is counted; "
        "set instance_type in [[cluster]]",
    )


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
