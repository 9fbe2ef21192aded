"""The proof: what was acknowledged and is not there is lost, what is there twice is duplicated."""

from agent.demo.ledger import PartitionAudit, Records, Sent, total
from agent.demo.payload import Mark


def read(audit: PartitionAudit, *marks: tuple[int, int]) -> Records:
    for sequence, key_sequence in marks:
        audit.read(b"key", Mark(sequence=sequence, key_sequence=key_sequence))
    return total([audit])


def audit(records: int, refused: frozenset[int] = frozenset()) -> PartitionAudit:
    return PartitionAudit(sent=Sent(topic="orders", partition=0, records=records, refused=refused))


def test_all_read_in_order_is_clean() -> None:
    found = read(audit(3), (0, 0), (1, 1), (2, 2))
    assert found == Records(produced=3, consumed=3, lost=0, duplicated=0, out_of_order=0)


def test_an_acknowledged_record_that_is_not_there_is_lost() -> None:
    assert read(audit(3), (0, 0), (2, 2)).lost == 1


def test_a_record_that_was_never_acknowledged_may_be_there_or_not() -> None:
    absent = read(audit(3, frozenset({1})), (0, 0), (2, 2))
    present = read(audit(3, frozenset({1})), (0, 0), (1, 1), (2, 2))
    assert (absent.lost, absent.produced, absent.unacknowledged) == (0, 2, 1)
    assert (present.lost, present.duplicated) == (0, 0)


def test_a_record_that_is_there_twice_is_duplicated() -> None:
    assert read(audit(2), (0, 0), (1, 1), (1, 1)).duplicated == 1


def test_a_record_that_nobody_sent_counts_as_duplicated() -> None:
    found = audit(1)
    found.read(b"key", None)
    assert read(found, (0, 0), (9, 9)).duplicated == 2


def test_a_key_whose_later_record_comes_first_is_out_of_order() -> None:
    assert read(audit(3), (0, 0), (2, 2), (1, 1)).out_of_order == 1
