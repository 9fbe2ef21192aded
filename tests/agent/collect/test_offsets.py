"""Seconds from offsets."""

import numpy as np
import pytest

from agent.collect.offsets import OffsetHistory

P = ("t", 0)


def test_tells_how_old_the_oldest_unread_record_is() -> None:
    history = OffsetHistory()
    for second in range(0, 60, 5):
        history.add(1000.0 + second, {P: second * 10})
    ages = history.ages(1055.0, [P, P, P], [550, 300, 325])
    assert ages[0] == 0.0
    assert ages[1] == pytest.approx(25.0, abs=0.1)
    assert ages[2] == pytest.approx(22.5, abs=0.1)


def test_gives_a_lower_bound_where_it_has_seen_too_little_and_nothing_where_nothing() -> None:
    history = OffsetHistory()
    assert np.isnan(history.ages(1.0, [P], [5])).all()
    history.add(1000.0, {P: 500})
    history.add(1005.0, {P: 600})
    assert history.ages(1010.0, [P], [100]).tolist() == [10.0]
    assert np.isnan(history.ages(1010.0, [("other", 1)], [0])).all()


def test_leaves_out_a_round_that_is_older_than_the_last() -> None:
    history = OffsetHistory()
    history.add(1000.0, {P: 500})
    history.add(100.0, {P: 1})
    assert history.ages(1010.0, [P], [400]).tolist() == [10.0]


def test_stays_small_over_a_day_and_still_knows_the_morning() -> None:
    history = OffsetHistory()
    for second in range(0, 86_400, 20):
        history.add(float(second), {P: second})
    assert len(history._times) < 1700
    assert history.ages(86_380.0, [P], [3600])[0] == pytest.approx(82_780, abs=60)
