"""Every second and every request falls into exactly one hour."""

from dataclasses import replace

import pytest

from broker.bill.usage import HOUR_MS, Ledger, Reading

NOTHING = Reading(tier1_requests=0, tier2_requests=0, cross_zone_bytes=0, stored_bytes=0)
NOON_MS = 1_700_000 * HOUR_MS


def test_a_stretch_over_the_hour_is_split_there():
    ledger = Ledger(NOON_MS - 15_000, NOTHING)
    ledger.read(NOON_MS + 45_000, replace(NOTHING, tier1_requests=60, cross_zone_bytes=600))
    before, after = ledger.hours()
    assert (before.up_s, after.up_s) == (15, 45)
    assert (before.tier1_requests, after.tier1_requests) == pytest.approx((15, 45))
    assert (before.cross_zone_bytes, after.cross_zone_bytes) == pytest.approx((150, 450))


def test_stored_bytes_become_byte_hours():
    ledger = Ledger(NOON_MS, replace(NOTHING, stored_bytes=100))
    ledger.read(NOON_MS + HOUR_MS // 2, replace(NOTHING, stored_bytes=300))
    assert ledger.hours()[0].stored_byte_hours == pytest.approx(100)


def test_closed_hours_are_forgotten_once_they_are_written():
    ledger = Ledger(NOON_MS, NOTHING)
    ledger.read(NOON_MS + HOUR_MS, NOTHING)
    assert [hour.up_s for hour in ledger.hours()] == [3600, 0]
    ledger.forget_closed()
    assert [hour.start_ms for hour in ledger.hours()] == [NOON_MS + HOUR_MS]


def test_a_clock_that_steps_back_adds_nothing():
    ledger = Ledger(NOON_MS + 10_000, NOTHING)
    ledger.read(NOON_MS, replace(NOTHING, tier1_requests=5))
    ledger.read(NOON_MS + 1_000, replace(NOTHING, tier1_requests=5))
    hour = ledger.hours()[0]
    assert (hour.up_s, hour.tier1_requests) == (1, 5)
