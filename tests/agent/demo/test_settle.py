"""How long the demo waits is made from the pages' own durations."""

import pytest

from agent.demo.settle import DEFAULT_SPAN_S, evaluations, longest_s, seconds, span_s

BALANCE = {"window": "1m", "min_age": "1m", "every": "10s", "persist": "3 of 4"}


@pytest.mark.parametrize(("text", "value"), [("10s", 10), ("1m", 60), ("2h", 7200), (90, 90), (None, 0), ("", 0)])
def test_durations_are_read_as_pages_write_them(text: object, value: float) -> None:
    assert seconds(text) == value


def test_persistence_counts_the_evaluations_it_may_take() -> None:
    assert evaluations("3 of 4") == 4
    assert evaluations(None) == 1


def test_a_page_needs_its_history_and_then_its_persistence() -> None:
    assert span_s(BALANCE) == 100.0


def test_the_longest_page_is_waited_for_at_the_time_scale() -> None:
    assert longest_s([BALANCE, {"window": "2m", "every": "10s", "persist": "1 of 1"}], 4.0) == 32.5


def test_pages_that_need_days_of_history_are_not_waited_for() -> None:
    assert longest_s([BALANCE, {"window": "7d", "every": "1h"}], 4.0) == 25.0


def test_without_durations_a_fixed_span_is_waited() -> None:
    assert longest_s([], 4.0) == DEFAULT_SPAN_S / 4
