"""Judging silence by one's own clock (law 11)."""

from broker.log.liveness import Liveness
from broker.metadata.rows import Beat


def beats(**counters: int) -> list[Beat]:
    return [Beat(id=int(name[1:]), epoch=1, counter=counter) for name, counter in counters.items()]


def watched(liveness: Liveness, until: float, **counters: int) -> None:
    """Looks every 0.5 s while the counters stand still."""
    at = 0.0
    while at <= until:
        liveness.observe(beats(**counters), at)
        at += 0.5


def test_a_counter_that_stands_still_for_a_session_is_silent() -> None:
    liveness = Liveness(3.0)
    watched(liveness, 3.0, b1=7)
    assert liveness.silent([1], 3.0) == []
    liveness.observe(beats(b1=7), 3.5)
    assert liveness.silent([1], 3.5) == [1]


def test_a_counter_that_moves_is_not_silent() -> None:
    liveness = Liveness(3.0)
    for step in range(20):
        liveness.observe(beats(b1=step // 2), step * 0.5)
    assert liveness.silent([1], 9.5) == []


def test_a_counter_that_stood_still_for_half_a_session_does_not_count_as_beating() -> None:
    liveness = Liveness(3.0)
    watched(liveness, 1.0, b1=7)
    assert liveness.is_beating(1, 1.0)
    assert not liveness.is_beating(1, 1.5)
    assert liveness.is_beating(2, 1.5), "not watched yet"


def test_an_observer_that_stalled_starts_again() -> None:
    liveness = Liveness(3.0)
    watched(liveness, 2.5, b1=7)
    liveness.observe(beats(b1=7), 30.0)
    assert liveness.silent([1], 30.0) == []


def test_an_observer_that_could_not_reach_the_store_starts_again() -> None:
    liveness = Liveness(3.0)
    watched(liveness, 3.5, b1=7)
    liveness.restart()
    assert liveness.silent([1], 4.0) == []


def test_who_is_excused_takes_nobodys_place() -> None:
    liveness = Liveness(3.0)
    watched(liveness, 4.0, b1=1, b2=1, b3=1)
    assert liveness.silent([1, 2, 3], 4.0, {1, 3}.__contains__) == [2]


def test_at_most_one_is_judged_per_session_when_many_fall_silent() -> None:
    liveness = Liveness(3.0)
    watched(liveness, 4.0, b1=1, b2=1, b3=1)
    assert liveness.silent([1, 2, 3], 4.0) == [1]
    liveness.judged(1, 4.0)
    assert liveness.silent([2, 3], 4.5) == []
    watched(liveness, 8.0, b2=1, b3=1)


def test_one_that_is_absent_is_silent_sooner_and_only_if_its_heart_is_late_too() -> None:
    liveness = Liveness(3.0, 1.5)
    watched(liveness, 1.5, b1=7, b2=7)
    assert liveness.doubtful([1, 2], 1.5) == liveness.silent([1, 2], 1.5, absent={1}) == []
    liveness.observe(beats(b1=7, b2=7), 2.0)
    assert liveness.doubtful([1, 2], 2.0) == [1, 2]
    assert liveness.silent([1, 2], 2.0, absent={1}) == [1]
    liveness.observe(beats(b1=8, b2=7), 2.2)
    assert liveness.silent([1, 2], 2.2, absent={1}) == []


def test_an_absent_one_still_counts_against_the_share() -> None:
    liveness = Liveness(3.0, 1.5)
    watched(liveness, 2.0, b1=1, b2=1, b3=1)
    assert liveness.silent([1, 2, 3], 2.0, absent={2, 3}) == [2]
