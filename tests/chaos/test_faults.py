"""A schedule is a function of its seed, and holds what its profile says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.chaos.faults import CALM, LAST_S, Profile, schedule


def test_a_schedule_is_the_same_for_the_same_seed_and_differs_for_another() -> None:
    assert schedule(7, 60, Profile()) == schedule(7, 60, Profile())
    assert schedule(7, 60, Profile()) != schedule(8, 60, Profile())


def test_a_minute_holds_what_the_profile_says_in_order_and_with_room_at_the_end() -> None:
    faults = schedule(3, 60, Profile())
    counts = Counter(fault.kind for fault in faults)
    assert counts == {
        "kill": 3,
        "zombie": 2,
        "quick zombie": 2,
        "drain": 1,
        "move": 6,
        "weather": 4,
        "full disk": 1,
    }
    assert [fault.at_s for fault in faults] == sorted(fault.at_s for fault in faults)
    assert faults[-1].at_s <= 60 - LAST_S


def test_parts_of_a_fault_per_round_add_up_over_many_seeds() -> None:
    thrice_in_two_minutes = replace(CALM, kills=1.5)
    kills = sum(len(schedule(seed, 60, thrice_in_two_minutes)) for seed in range(200))
    assert 250 < kills < 350
