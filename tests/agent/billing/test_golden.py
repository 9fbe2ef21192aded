"""Every golden case of the cost design, to the cent, from its inputs (`tests/data/golden_costs.toml`)."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.billing import arithmetic
from agent.billing.arithmetic import GIB, Line
from agent.billing.pricebook import load_prices

BOOK = tomllib.loads((Path(__file__).parents[2] / "data" / "golden_costs.toml").read_text())
SECONDS, WRITTEN = BOOK["seconds"], BOOK["gib_per_s"] * GIB
CASES = {case["name"]: case for case in BOOK["case"]}
PRICES = load_prices()


def line(case: dict[str, Any]) -> Line:
    """The case's inputs through the function it names."""
    kept = case.get("retention_s", 0) * WRITTEN
    match case["line"]:
        case "kafka_crossing":
            return arithmetic.kafka_crossing(WRITTEN * SECONDS, case["zones"], case["replicas"], PRICES.cross_zone_gb)
        case "crossing":
            part, whole = case["share"]
            return arithmetic.crossing(WRITTEN * SECONDS, part / whole, PRICES.cross_zone_gb)
        case "volumes":
            return arithmetic.volumes(kept, case["copies"], case["price"])
        case "object_storage":
            return arithmetic.object_storage(kept, PRICES.object_gb_month)
        case "requests":
            return arithmetic.requests(WRITTEN / case["object_bytes"], SECONDS, PRICES.tier1)
        case "compute":
            return arithmetic.compute(case["brokers"], case["hours"], case["price"])
        case _:
            return arithmetic.wal_objects(case["brokers"], case["every_s"], SECONDS, PRICES.tier1)


@pytest.mark.parametrize("name", CASES)
def test_a_golden_case_is_met_to_the_cent(name: str) -> None:
    assert round(line(CASES[name]).usd, 2) == CASES[name]["usd"]


def test_a_whole_kafka_is_the_sum_of_its_parts() -> None:
    for whole in BOOK["sum"]:
        parts = sum(line(CASES[name]).usd for name in whole["cases"])
        assert round(parts + whole["compute"], 2) == whole["usd"]


@pytest.mark.parametrize("put", BOOK["put"], ids=lambda put: str(put["object_bytes"]))
def test_putting_a_gib_costs_by_the_size_of_objects(put: dict[str, Any]) -> None:
    usd = arithmetic.requests(GIB / put["object_bytes"], 1, PRICES.tier1).usd
    assert usd == pytest.approx(put["usd"], abs=0.6 * 10 ** -put["digits"])


def test_a_line_says_what_it_multiplies() -> None:
    said = line(CASES["Kafka, RF 3, cross-zone"]).words
    assert said == (
        "2,592,000 GiB x 2.6667 crossings (2/3 of produce + 2 replicas) x 0.02 USD/GiB, both sides = 138,240.00 USD"
    )
