"""The files of the bill, written by another process and read back."""

import duckdb

from broker.bill.biller import Biller
from broker.bill.focus import Subject
from broker.bill.prices import load_prices
from broker.bill.usage import HOUR_MS, Reading

SUBJECT = Subject(
    cluster="demo", broker=1, zone=None, instance_type="m7g.large", spot=False, store="file:///x", volume_bytes=2**28
)


class HandClock:
    """Wound by the test."""

    def __init__(self, wall_ms):
        self.ms = wall_ms

    def wall_ms(self):
        return self.ms

    def monotonic(self):
        return self.ms / 1000

    async def sleep(self, seconds):
        self.ms += round(seconds * 1000)


async def test_the_open_hour_is_rewritten_and_a_closed_one_stays(tmp_path):
    clock = HandClock(494_999 * HOUR_MS + HOUR_MS - 60_000)
    counted = {"tier1": 0}

    def read():
        return Reading(tier1_requests=counted["tier1"], tier2_requests=0, cross_zone_bytes=0, stored_bytes=0)

    biller = Biller(directory=tmp_path / "bill", subject=SUBJECT, prices=load_prices(), clock=clock, read=read)
    counted["tier1"] = 1000
    await clock.sleep(60)
    await biller.write()
    counted["tier1"] = 3000
    await clock.sleep(120)
    await biller.write()
    files = sorted((tmp_path / "bill").iterdir())
    assert [file.name[:24] for file in files] == ["2026-06-20T23Z-broker-1-", "2026-06-21T00Z-broker-1-"]
    rows = duckdb.sql(
        f"SELECT ChargePeriodStart::VARCHAR, ConsumedQuantity, EffectiveCost FROM '{tmp_path}/bill/*.parquet'"
        " WHERE SkuMeter = 'Requests-Tier1' ORDER BY ALL"
    ).fetchall()
    assert [(quantity, round(cost, 6)) for _, quantity, cost in rows] == [(1000, 0.005), (2000, 0.01)]
