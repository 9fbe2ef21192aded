"""Numbers on the screen."""

from datetime import UTC, datetime, timedelta

import pytest

from tui.amounts import ago, bar, count, money, percent, rate, sparkline

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (0, "0 B/s"), (1536, "1.5 KiB/s"), (2**21, "2.0 MiB/s")])
def test_rates_have_units_and_unknown_is_a_dash(value, shown):
    assert rate(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.0213, "$0.0213"), (1234.5, "$1,234.50"), (-2, "-$2.00"), (None, "–")])
def test_cents_keep_their_digits(value, shown):
    assert money(value) == shown


def test_small_counts_keep_a_digit():
    assert (count(3.44), count(12345.6), percent(0.421)) == ("3.4", "12,346", "42 %")


def test_a_sparkline_is_scaled_and_a_gap_is_a_gap():
    assert sparkline([0, None, 8], 4, 8) == " ▁ █"


def test_a_bar_fills_to_an_eighth():
    assert bar(1, 2, 4) == "██  "
    assert bar(0, 0, 3) == "   "


def test_ages_change_their_unit():
    assert ago(NOW - timedelta(seconds=30), NOW) == "30 s ago"
    assert ago(NOW - timedelta(hours=3), NOW) == "3 h ago"
