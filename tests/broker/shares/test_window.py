"""One share group's window over one partition: who has what, and what moves its start."""

from __future__ import annotations

import pytest

from broker.errors import InvalidRecordState, InvalidRequest
from broker.shares.window import Acquired, Read, Said, State, Terms, Window, Word

TERMS = Terms(lock_s=30, deliveries=3, records=10)


def read(offset: int, *spans: tuple[int, int], end: int | None = None) -> Read:
    return Read(offset=offset, spans=spans, end=spans[-1][1] + 1 if end is None else end)


def take(window: Window, what: Read, member: str = "a", wanted: int = 100, **more: bool) -> list[tuple[int, int, int]]:
    given = window.acquire(member, what, wanted, TERMS, 0.0, exact=more.get("exact", False))
    return [(each.first, each.last, each.count) for each in given]


def say(window: Window, word: Word, *ranges: tuple[int, int], member: str = "a", now: float = 1.0) -> bool:
    said = [Said(first=first, last=last, words=(word,)) for first, last in ranges]
    return window.acknowledge(member, said, TERMS, now)


def test_a_batch_that_was_begun_is_given_whole_unless_a_number_is_asked_for() -> None:
    window = Window(0)
    assert take(window, read(0, (0, 4), (5, 6)), wanted=2, exact=True) == [(0, 1, 1)]
    assert take(window, read(2, (0, 4), (5, 6)), "b", wanted=2) == [(2, 4, 1)]
    assert (window.next_offset(), window.end) == (5, 5)


def test_no_more_flights_begin_than_there_may_be() -> None:
    window = Window(0)
    assert take(window, read(0, (0, 50))) == [(0, 9, 1)]
    assert not window.has_room(10)
    say(window, Word.ACCEPT, (1, 9))
    assert not window.has_room(10), "they wait behind the first"
    say(window, Word.ACCEPT, (0, 0))
    assert (window.start, len(window.flights)) == (10, 0)


def test_the_start_follows_what_is_done_from_the_front() -> None:
    window = Window(0)
    take(window, read(0, (0, 5)))
    say(window, Word.ACCEPT, (2, 3))
    assert window.start == 0
    say(window, Word.REJECT, (0, 1))
    assert (window.start, window.end) == (4, 6)


def test_what_comes_back_is_given_before_what_is_new_and_counted() -> None:
    window = Window(0)
    take(window, read(0, (0, 5)))
    say(window, Word.RELEASE, (1, 2), (4, 4))
    assert window.next_offset() == 1
    assert take(window, read(1, (0, 5), (6, 7)), "b") == [(1, 2, 2), (4, 4, 2), (6, 7, 1)]


def test_given_as_often_as_it_may_be_it_does_not_come_back() -> None:
    window = Window(0)
    for count in (1, 2, 3):
        assert take(window, read(0, (0, 0))) == [(0, 0, count)]
        say(window, Word.RELEASE, (0, 0))
    assert (window.start, window.available) == (1, 0)


def test_a_gap_is_passed_over_and_takes_no_room() -> None:
    window = Window(0)
    assert take(window, read(0, (0, 1), (1_000_000, 1_000_001))) == [(0, 1, 1), (1_000_000, 1_000_001, 1)]
    say(window, Word.ACCEPT, (0, 1))
    assert (window.start, len(window.flights)) == (1_000_000, 2)
    empty = Window(5)
    assert take(empty, Read(offset=5, spans=(), end=9)) == []
    assert (empty.start, empty.end) == (9, 9)


def test_what_was_cleaned_away_while_it_was_available_is_gone() -> None:
    window = Window(0)
    take(window, read(0, (0, 5)))
    say(window, Word.RELEASE, (0, 5))
    assert take(window, read(0, (3, 3), end=6)) == [(3, 3, 2)]
    assert (window.start, window.available) == (3, 0)


def test_what_the_log_has_no_more_is_nobodys_business() -> None:
    window = Window(0)
    take(window, read(0, (0, 5)))
    say(window, Word.RELEASE, (0, 0))
    window.trim(3)
    assert (window.start, window.available) == (3, 0)
    assert say(window, Word.ACCEPT, (0, 5))
    assert window.start == 6
    window.trim(40)
    assert (window.start, window.end) == (40, 40)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidRequest, [(1, 0, (1,))]),
        (InvalidRequest, [(0, 1, (1,)), (1, 2, (1,))]),
        (InvalidRequest, [(0, 1, (1, 1, 1))]),
        (InvalidRequest, [(0, 1, ())]),
        (InvalidRequest, [(0, 1, (9,))]),
        (InvalidRecordState, [(0, 3, (1,))]),
        (InvalidRecordState, [(0, 2**63 - 1, (1,))]),
        (InvalidRecordState, [(0, 1, (1,)), (9, 9, (1,))]),
    ],
)
def test_what_cannot_be_said_changes_nothing(
    error: type[Exception], said: list[tuple[int, int, tuple[int, ...]]]
) -> None:
    window = Window(0)
    take(window, read(0, (0, 2)))
    with pytest.raises(error):
        window.acknowledge("a", [Said(first=f, last=last, words=w) for f, last, w in said], TERMS, 1.0)
    assert {flight.state for flight in window.flights.values()} == {State.ACQUIRED}


def test_only_who_has_a_record_may_say_what_became_of_it() -> None:
    window = Window(0)
    take(window, read(0, (0, 2)))
    with pytest.raises(InvalidRecordState):
        say(window, Word.ACCEPT, (0, 2), member="b")
    assert window.release("b", 3) is False
    assert window.release("a", 3) is True
    assert window.available == 3


def test_locks_lapse_in_their_time_and_are_put_off() -> None:
    window = Window(0)
    take(window, read(0, (0, 1)))
    assert window.due == 30.0
    assert not say(window, Word.RENEW, (0, 0), now=20.0)
    assert window.expire(31.0, 3)
    assert (window.available, window.due) == (1, 50.0)
    assert window.expire(51.0, 3)
    assert (window.available, window.due) == (2, float("inf"))


def test_it_is_stored_in_runs_and_what_was_out_comes_back() -> None:
    window = Window(0)
    take(window, read(0, (0, 9)))
    say(window, Word.ACCEPT, (2, 3))
    say(window, Word.RELEASE, (5, 5))
    take(window, read(5, (5, 5)), "b")
    assert window.dump() == "[[0,1,0,1],[2,3,2,1],[4,4,0,1],[5,5,0,2],[6,9,0,1]]"
    again = Window.load(0, window.dump())
    assert (again.start, again.end, again.available, again.done) == (0, 10, 8, 2)
    assert take(again, read(0, (0, 9))) == [(0, 1, 2), (4, 4, 2), (5, 5, 3), (6, 9, 2)]


def test_what_was_given_says_which_records_and_how_often() -> None:
    window = Window(7)
    given = window.acquire("a", read(7, (5, 8)), 10, TERMS, 0.0, exact=False)
    assert given == [Acquired(first=7, last=8, count=1)]
