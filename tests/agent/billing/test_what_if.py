"""What-ifs: the arithmetic of each change, what it takes for granted, and changes that nobody understands."""

import pytest

from agent.billing.errors import WhatIfError
from agent.billing.pricebook import load_prices
from agent.billing.what_if import Cluster, what_if

GIB = float(2**30)
PRICES = load_prices()
MONTH_S = 730 * 3600
NOW = Cluster(
    brokers=3, instance_type="m7g.large", spot=0, zones=3, written_per_s=0.1 * GIB, stored_bytes=1000 * GIB,
    puts_per_s=7, gets_per_s=50, crossing_per_s=0.01 * GIB, wal_bytes=30 * GIB, cpu_share=0.3,
)  # fmt: skip


def after(*changes: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for line in what_if(NOW, PRICES, changes).after:
        sums[line.component] = sums.get(line.component, 0.0) + line.usd
    return sums


def test_now_is_priced_line_by_line() -> None:
    assert after() == {
        "compute": pytest.approx(3 * 730 * 0.0816),
        "requests": pytest.approx(MONTH_S * (7 * 0.000005 + 50 * 0.0000004)),
        "storage": pytest.approx(23.0),
        "wal": pytest.approx(2.4),
        "network": pytest.approx(0.01 * MONTH_S * 0.02),
    }


def test_three_times_the_traffic_needs_brokers_where_the_cpu_says_so() -> None:
    then = after("traffic=3x")
    assert then["compute"] == pytest.approx(4 * 730 * 0.0816)  # 3 x 0.3 x 3 / 0.7 = 3.9
    assert then["storage"] == pytest.approx(69.0)
    assert then["network"] == pytest.approx(0.03 * MONTH_S * 0.02)
    puts = 0.3 * GIB / (16 << 20)
    assert then["requests"] == pytest.approx(MONTH_S * (puts * 0.000005 + 150 * 0.0000004))
    assert any("so 4 brokers stay under 70 %" in note for note in what_if(NOW, PRICES, ["traffic=3x"]).notes)


def test_a_flush_of_250_ms_writes_an_object_of_each_broker_four_times_a_second() -> None:
    then = after("flush=250ms")
    assert then["requests"] - after()["requests"] == pytest.approx(3 * 4 * MONTH_S * 0.000005)
    assert "wal" not in then


def test_on_spot_every_broker_is() -> None:
    assert after("spot")["compute"] == pytest.approx(3 * 730 * 0.0326)
    assert after("spot", "traffic=3x")["compute"] == pytest.approx(4 * 730 * 0.0326)


def test_on_kafka_the_copies_cross_zones_and_lie_on_volumes() -> None:
    then = after("kafka:rf=3")
    assert then == {
        "compute": pytest.approx(3 * 730 * 0.0816),
        "storage": pytest.approx(1000 * 3 * 0.08),
        "network": pytest.approx(0.1 * MONTH_S * (2 / 3 + 2) * 0.02),
    }
    assert after("kafka:rf=3", "traffic=2x")["storage"] == pytest.approx(2 * then["storage"])


def test_the_arithmetic_is_shown() -> None:
    (line,) = [line for line in what_if(NOW, PRICES, ["spot"]).after if line.component == "compute"]
    assert line.words == "3 brokers x 730 h x 0.0326 USD/h of m7g.large on spot = 71.39 USD"


@pytest.mark.parametrize("change", ["trafic=3x", "flush=fast", "kafka:rf=0", "traffic=0x", ""])
def test_a_change_that_cannot_be_meant_is_refused(change: str) -> None:
    with pytest.raises(WhatIfError, match="write"):
        what_if(NOW, PRICES, [change])


def test_more_replicas_than_brokers_are_refused_with_both_numbers() -> None:
    with pytest.raises(WhatIfError, match="kafka:rf=9 needs 9 brokers, and there are 3: name rf=3 at most"):
        what_if(NOW, PRICES, ["kafka:rf=9"])
