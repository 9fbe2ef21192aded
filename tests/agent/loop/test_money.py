"""Costs: one basis at a time, what cannot be allocated is shown."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.billing.allocation import Seen
from agent.billing.bill import Bill
from agent.billing.ledger import Ledger
from agent.loop.billed import billed
from agent.loop.money import costs
from agent.loop.overview import per_hour
from agent.loop.refused import Refused


def _row(component, resource, usd, basis="meter"):
    return {
        "component": component,
        "for_resource": resource,
        "usd_per_hour": usd,
        "basis": basis,
        "price_date": "2026-10-01",
    }


ROWS = [
    _row("network", "c/client/app", 0.5),
    _row("storage", "c/topic/orders", 0.25),
    _row("compute", "c/broker/0", 1.0),
    _row("compute", "c/broker/0", 9.0, "bill"),
]


def test_the_meter_and_the_bill_are_never_added():
    assert per_hour(ROWS) == 1.75
    assert costs(ROWS, Seen(), "component")["usd_per_hour"] == 1.75


def test_what_the_allocation_does_not_reach_is_a_line_of_its_own():
    lines = {
        line["name"]: line["usd_per_hour"]
        for line in costs(ROWS, Seen(brokers=[{"broker": "0", "zone": "zone-a"}]), "zone")["rows"]
    }
    assert lines == {"zone-a": 1.0, "(not allocated)": 0.75}
    assert {line["price_date"] for line in costs(ROWS, Seen(), "zone")["rows"]} == {"2026-10-01"}


def test_a_month_has_730_hours():
    assert costs(ROWS, Seen(), "component")["usd_per_month"] == pytest.approx(1.75 * 730)


def test_an_unknown_way_is_refused_with_the_known_ones():
    with pytest.raises(Refused, match="component, topic, client, group, zone"):
        costs(ROWS, Seen(), "moon")


def test_nothing_known_is_not_zero():
    assert costs([], Seen(), "component")["usd_per_hour"] is None


def test_the_bill_is_shown_by_component_and_nothing_is_compared_that_nobody_watched(tmp_path):
    now, ledger = datetime(2026, 11, 20, tzinfo=UTC), Ledger(tmp_path / "meter.sqlite")
    bill = Bill(Path(__file__).parents[2] / "data/focus_1_0_sample.csv")
    found = billed(bill, ledger, now)
    assert sum(line["rows"] for line in found["components"]) == found["rows"] == 1000
    assert (found["unclassified"], found["days_compared"], found["compared"]) == (24, [], [])
    with pytest.raises(Refused, match="no bill is configured"):
        billed(None, ledger, now)
    ledger.close()
