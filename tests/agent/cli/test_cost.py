"""`streampilot cost` on a screen: a bar a line, columns over time, and sums that can be checked by hand."""

import pytest

from agent.cli.complaint import Complaint
from agent.cli.cost import _seconds, bill_table, costs_table, plot, suppositions

ROW = {"usd_per_month": 730.0, "basis": "meter", "price_date": "2026-11-01"}
FOUND = {
    "rows": [{**ROW, "name": "network", "usd_per_hour": 1.0}, {**ROW, "name": "wal", "usd_per_hour": 0.25}],
    "usd_per_hour": 1.25,
    "usd_per_month": 912.5,
    "allocation": "as metered",
    "prices": "AWS us-east-1 (2026-11-01)",
    "note": "",
}


def test_each_line_has_a_bar_of_its_share():
    lines = costs_table("component", FOUND).splitlines()
    assert lines[1].count("█") == 4 * lines[2].count("█") == 24
    assert "total $1.25 an hour, $912.50 a month of 730 h" in lines
    assert "list prices of AWS us-east-1 (2026-11-01); allocated: as metered" in lines


def test_time_goes_from_left_to_right():
    points = [
        {
            "at": f"2026-11-2{n}T00:00:00Z",
            "until": f"2026-11-2{n}T01:00:00Z",
            "usd_per_hour": float(n),
            "usd": float(n),
            "watched_s": 3600.0,
        }
        for n in range(1, 4)
    ]
    lines = plot(points).splitlines()
    assert lines[0].endswith("█")
    assert "$3.00/h" in lines[0]
    assert lines[5].endswith("███")
    assert lines[-2].strip() == "2026-11-21 00:00 to 2026-11-23 01:00 UTC"
    assert lines[-1] == "$6.00 metered, 3.0 h watched"
    assert plot([]) == "nothing was metered in that time"


def test_a_supposition_shows_both_months_and_the_difference():
    found = {
        "changes": ["spot"], "prices": "AWS us-east-1 (2026-11-01)", "hours_per_month": 730.0,
        "notes": ["spot: prices move"],
        "before": [{"component": "compute", "arithmetic": "3 brokers x 1 = 3.00 USD", "usd_per_month": 3.0}],
        "after": [],
        "usd_per_month_before": 3.0, "usd_per_month_after": 0.0, "usd_per_month_more": -3.0,
    }  # fmt: skip
    text = suppositions(found)
    assert "what if spot (a month of 730 h, list prices of AWS us-east-1 (2026-11-01))" in text
    assert "compute   3 brokers x 1 = 3.00 USD" in text
    assert "$3.00 a month less" in text
    assert text.endswith("spot: prices move")


def test_a_time_that_cannot_be_meant_is_refused():
    assert _seconds("7d") == 7 * 86_400
    with pytest.raises(Complaint, match="--since 'yesterday' is not understood"):
        _seconds("yesterday")
    for text, hours in (("0h", "0 h"), ("99w", "16,632 h")):
        with pytest.raises(Complaint) as raised:
            _seconds(text)
        assert raised.value.line().startswith(f"streampilot: --since '{text}' is {hours}; what was metered is kept")


def test_an_amount_below_a_cent_is_not_nothing():
    row = {**ROW, "name": "storage", "usd_per_hour": 0.0000015129, "usd_per_month": 0.0011}
    line = costs_table("component", {**FOUND, "rows": [row]}).splitlines()[1]
    assert line.split()[:3] == ["storage", "$0.0000015", "$0.0011"]


def test_a_bill_has_the_meter_beside_it_where_both_know_the_day():
    found = {
        "source": "bill.csv", "rows": 1000, "unclassified": 24, "closed_until": "2026-11-02", "notes": ["a note"],
        "components": [{"component": "wal", "amount": 1234.5, "currency": "EUR", "rows": 3}],
        "days_compared": ["2026-11-01"],
        "compared": [{"component": "wal", "meter_usd_per_hour": 0.5, "bill_usd_per_hour": 0.25}],
    }  # fmt: skip
    lines = bill_table(found).splitlines()
    assert lines[0] == "bill bill.csv: 1,000 rows, 24 unclassified, closed until 2026-11-02"
    assert lines[2].split() == ["wal", "1,234.50", "EUR", "3"]
    assert lines[-2].split() == ["wal", "$0.5000", "$0.2500", "-$0.2500"]
    assert lines[-1] == "a note"
    assert "nothing is compared" in bill_table({**found, "days_compared": []})
