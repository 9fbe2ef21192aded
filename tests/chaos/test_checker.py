"""Each anomaly, made by hand, is found; and a history without any is clean."""

from __future__ import annotations

from tests.chaos.checker import check
from tests.chaos.history import History, Value

HERE = ("once", 0)


def written(history: History, *offsets: int, author: int = 1, idempotent: bool = True) -> None:
    """One value acknowledged at each of these offsets."""
    of = history.author(HERE, author, idempotent=idempotent)
    for offset in offsets:
        history.acknowledged(HERE, Value(author=author, sequence=of.sent()), offset)


def read_back(history: History, *codes: int) -> None:
    session = history.session("read-back", HERE)
    session.begins(0)
    for offset, code in enumerate(codes):
        session.saw(offset, code)
    history.part(HERE).end = len(codes)


def of(*sequences: int, author: int = 1) -> list[int]:
    return [Value(author=author, sequence=sequence).code() for sequence in sequences]


def kinds(history: History) -> list[str]:
    check(history)
    return [anomaly.kind for anomaly in history.anomalies]


def test_a_history_in_which_all_is_well_is_clean() -> None:
    history = History()
    written(history, 0, 1, 2)
    read_back(history, *of(0, 1, 2))
    assert kinds(history) == []


def test_an_acknowledged_value_that_is_nowhere_is_lost() -> None:
    history = History()
    written(history, 0, 1, -1)
    read_back(history, *of(0, 1))
    assert kinds(history) == ["lost"]


def test_a_value_that_was_never_acknowledged_may_be_there_or_not() -> None:
    history = History()
    written(history, 0)
    history.author(HERE, 1, idempotent=True).sent()
    history.author(HERE, 1, idempotent=True).sent()
    read_back(history, *of(0, 1))
    assert kinds(history) == []


def test_an_idempotent_producers_value_at_two_offsets_is_a_duplicate() -> None:
    history = History()
    written(history, 0, 1)
    read_back(history, *of(0, 1, 1))
    assert kinds(history) == ["duplicate"]


def test_a_plain_producers_value_may_be_there_twice_and_in_any_order() -> None:
    history = History()
    written(history, 0, -1, -1, idempotent=False)
    read_back(history, *of(0, 2, 1, 2))
    assert kinds(history) == []


def test_an_idempotent_producers_values_in_another_order_are_found() -> None:
    history = History()
    written(history, -1, -1, -1)
    read_back(history, *of(0, 2, 1))
    assert kinds(history) == ["out of order"]


def test_one_offset_with_two_values_is_found_whoever_saw_them() -> None:
    history = History()
    written(history, 0, 1)
    history.session("tail", HERE).saw(1, *of(0))
    assert kinds(history)[0] == "two values"


def test_an_acknowledgement_at_an_offset_that_holds_something_else_is_found() -> None:
    history = History()
    history.session("tail", HERE).saw(0, *of(7, author=2))
    written(history, 0)
    assert "two values" in kinds(history)


def test_a_record_that_a_consumer_saw_and_that_is_gone_is_found() -> None:
    history = History()
    written(history, 0)
    history.author(HERE, 1, idempotent=True).sent()
    history.session("tail", HERE).saw(1, *of(1))
    read_back(history, *of(0))
    assert kinds(history) == ["vanished"]


def test_a_poll_that_goes_back_is_found() -> None:
    history = History()
    written(history, 0, 1)
    read_back(history, *of(0, 1))
    session = history.session("tail", HERE)
    session.saw(0, *of(0))
    session.saw(1, *of(1))
    session.saw(0, *of(0))
    assert kinds(history) == ["poll went back"]


def test_a_poll_that_leaves_an_offset_out_is_found() -> None:
    history = History()
    written(history, 0, 1, 2)
    read_back(history, *of(0, 1, 2))
    session = history.session("tail", HERE)
    session.begins(0)
    session.saw(0, *of(0))
    session.saw(2, *of(2))
    assert kinds(history) == ["skipped"]


def test_a_group_member_that_begins_past_what_the_group_read_is_found() -> None:
    history = History()
    written(history, 0, 1, 2)
    read_back(history, *of(0, 1, 2))
    history.session("member 1", HERE, "group").saw(0, *of(0))
    history.session("member 2", HERE, "group").saw(2, *of(2))
    assert kinds(history) == ["skipped"]


def test_a_group_member_may_read_again_what_was_not_committed() -> None:
    history = History()
    written(history, 0, 1)
    read_back(history, *of(0, 1))
    history.session("member 1", HERE, "group").saw(0, *of(0))
    history.session("member 2", HERE, "group").saw(0, *of(0))
    assert kinds(history) == []


def test_a_committed_offset_that_goes_back_is_found() -> None:
    history = History()
    history.committing("group", HERE, 9)
    history.committed("group", HERE, 9)
    history.fetched_commit("group", HERE, 4)
    assert kinds(history) == ["commit went back"]


def test_a_commit_without_an_answer_may_take_effect_late() -> None:
    history = History()
    history.committing("group", HERE, 4)
    history.committed("group", HERE, 9)
    history.fetched_commit("group", HERE, 4)
    assert kinds(history) == []


def test_an_offset_below_the_end_that_nobody_met_is_found() -> None:
    history = History()
    history.part(HERE).end = 1
    assert kinds(history) == ["unread"]


def test_a_value_that_nobody_sent_is_found() -> None:
    history = History()
    read_back(history, *of(3, author=9))
    assert kinds(history) == ["foreign"]


def test_an_idempotent_producer_that_gave_up_is_a_fault_and_a_plain_one_is_not() -> None:
    history = History()
    for author, idempotent in ((1, True), (2, False)):
        sequence = history.author(HERE, author, idempotent=idempotent).sent()
        history.gave_up(HERE, Value(author=author, sequence=sequence), "timed out")
    assert kinds(history) == ["gave up"]


def test_a_reader_whose_position_is_gone_is_found() -> None:
    history = History()
    history.lost_place("tail", HERE, "offset out of range")
    assert kinds(history) == ["position gone"]


def test_anomalies_of_a_kind_are_all_counted_and_the_first_few_kept() -> None:
    history = History()
    for _ in range(100):
        history.lost_place("tail", HERE, "offset out of range")
    assert (len(history.anomalies), len(history.anomalies.found)) == (100, 5)
