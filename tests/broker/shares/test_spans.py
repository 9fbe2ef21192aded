"""What was read of a log, as a share group gives it."""

from __future__ import annotations

from broker.log.answers import Slice
from broker.records.batch import parse, patch
from broker.records.markers import Marker, write_marker
from broker.shares.spans import found
from broker.shares.window import Acquired
from tests.broker.transactions.test_log import batch


def log(*batches: bytes, stable: int | None = None, aborted: tuple[tuple[int, int], ...] = ()) -> Slice:
    """As read from offset 0."""
    data, offset = bytearray(), 0
    for each in batches:
        one = bytearray(each)
        header = parse(one)
        patch(one, header, base_offset=offset, leader_epoch=0)
        offset += header.last_offset_delta + 1
        data += one
    return Slice(
        data=[data], high_watermark=offset, last_stable=offset if stable is None else stable, log_start=0,
        aborted=aborted,
    )  # fmt: skip


def marker(producer: int, *, commit: bool) -> bytes:
    return write_marker(Marker(producer_id=producer, producer_epoch=0, coordinator_epoch=0, commit=commit), 1000)


PLAIN = batch(-1, -1, epoch=-1, transactional=False)
"""One record at each offset it stands at."""


def test_markers_are_for_nobody() -> None:
    part = log(PLAIN, batch(7, 0), marker(7, commit=True), PLAIN)
    assert found(part, 0, committed=False).read.spans == [(0, 0), (1, 1), (3, 3)]
    assert found(part, 0, committed=True).read.spans == [(0, 0), (1, 1), (3, 3)]


def test_what_was_aborted_is_for_those_who_read_everything_only() -> None:
    first = (batch(7, 0), batch(8, 0), marker(7, commit=False))
    part = log(*first, batch(7, 1), marker(7, commit=True), aborted=((7, 0),))
    assert found(part, 0, committed=True).read.spans == [(1, 1), (3, 3)]
    assert found(part, 0, committed=False).read.spans == [(0, 0), (1, 1), (3, 3)]


def test_a_reading_ends_with_its_last_batch_or_where_nothing_is_left() -> None:
    assert found(log(PLAIN, PLAIN), 1, committed=False).read.end == 2
    nothing = Slice(data=[], high_watermark=9, last_stable=7, log_start=0)
    assert found(nothing, 3, committed=False).read.end == 9
    assert found(nothing, 3, committed=True).read.end == 7


def test_the_bytes_are_of_the_batches_with_a_record_that_was_given() -> None:
    what = found(log(PLAIN, PLAIN, PLAIN), 0, committed=False)
    given = [Acquired(first=0, last=0, count=2), Acquired(first=2, last=2, count=1)]
    assert what.bytes_of(given) == [what.pieces[0], what.pieces[2]]
