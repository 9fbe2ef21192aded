"""cleanup.policy=compact keeps the newest record of each key, and nothing else changes (Kafka's rules)."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.clean import Filter, Order, Scan, Tally
from broker.log.clean_worker import Worker
from broker.records.batch import batches
from broker.records.codecs import Decoder, TooLarge, Undecodable, encode
from broker.records.contents import has_horizon
from tests.broker.log.logs_of_keys import CODECS, Pair, Seen, keyed, marker, read_by_a_client, split

MIB = 1024 * 1024
ORDER = Order(
    start=0,
    dirty_from=0,
    end=1 << 40,
    now_ms=10_000,
    delete_retention_ms=500,
    keys=1000,
    batch_room_bytes=MIB,
    round_room_bytes=64 * MIB,
    producers={},
)


def clean(log: bytes, order: Order = ORDER) -> tuple[bytes, Tally]:
    decoder = Decoder(order.batch_room_bytes)
    scan = Scan(order, decoder)
    scan.add(log)
    while scan.finish():
        scan.add(log)
    cleaner = Filter(order, scan, decoder)
    out, changed = cleaner.take(log)
    assert changed == (out != log)
    return out, cleaner.tally


def contents(log: bytes) -> dict[int, Pair]:
    return {seen.offset: (seen.key, seen.value) for seen in read_by_a_client(log)}


def joined(*groups: list[Pair], codec: str = "none") -> bytes:
    """A log of these batches."""
    base, log = 0, b""
    for pairs in groups:
        log += keyed(pairs, base=base, codec=codec)
        base += len(pairs)
    return log


# -- codecs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_reads_what_it_writes_and_stops_at_its_room(codec: str) -> None:
    data = bytes(range(256)) * 1000
    assert bytes(Decoder(len(data)).decode(codec, encode(codec, data))) == data
    if codec != "none":
        with pytest.raises(TooLarge):
            Decoder(len(data) - 1).decode(codec, encode(codec, data))
        for broken in (encode(codec, data)[:-9], b"\xff" * 40, b""):
            with pytest.raises((Undecodable, TooLarge)):
                Decoder(MIB).decode(codec, broken)


def test_snappy_comes_raw_from_some_clients_and_in_chunks_from_java() -> None:
    data = b"abc" * 50_000
    assert bytes(Decoder(MIB).decode("snappy", bytes(cramjam.snappy.compress_raw(data)))) == data
    assert encode("snappy", data).startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    with pytest.raises(Undecodable):
        Decoder(MIB).decode("snappy", encode("snappy", data)[:16] + b"\x7f\xff\xff\xff")


def test_a_bomb_costs_its_room_and_no_more() -> None:
    bomb = bytes(cramjam.zstd.compress(bytes(256 * MIB)))
    with pytest.raises(TooLarge):
        Decoder(MIB).decode("zstd", bomb)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_the_newest_record_of_each_key_stays_at_its_offset(codec: str) -> None:
    log = joined([(b"a", b"1"), (b"b", b"1")], [(b"a", b"2")], [(b"b", b"2"), (b"c", b"1")], codec=codec)
    out, tally = clean(log)
    assert contents(out) == {2: (b"a", b"2"), 3: (b"b", b"2"), 4: (b"c", b"1")}
    assert (tally.records, tally.removed) == (5, 2)
    assert {batch.codec for batch in batches(out)} == {codec}


def test_a_batch_that_loses_records_keeps_its_offsets_producer_and_times() -> None:
    log = keyed([(b"a", b"1"), (b"b", b"1"), (b"a", b"2")], base=7, producer=5, sequence=3, at_ms=2000)
    out, _ = clean(log)
    (before,), (after,) = batches(log), batches(out)
    assert (after.base_offset, after.last_offset, after.last_sequence) == (7, 9, before.last_sequence)
    assert (after.count, after.producer_id, after.base_timestamp, after.max_timestamp) == (2, 5, 2000, 2002)
    assert [seen.at_ms for seen in read_by_a_client(out)] == [2001, 2002]


def test_what_changes_nothing_is_the_same_bytes() -> None:
    log = joined([(b"a", b"1")], [(b"b", b"1")], codec="zstd")
    assert clean(log)[0] == log


def test_records_without_a_key_go_and_are_counted() -> None:
    out, tally = clean(joined([(None, b"1"), (b"a", b"1")], [(None, b"2")]))
    assert contents(out) == {1: (b"a", b"1")}
    assert tally.without_key == 2


def test_what_is_not_scanned_is_not_touched() -> None:
    log = joined([(b"a", b"1")], [(b"a", b"2")], [(b"a", b"3")])
    assert list(contents(clean(log, replace(ORDER, end=2))[0])) == [1, 2]
    many = joined(*[[(b"%d" % n, b"1"), (b"x", b"1")] for n in range(5)])
    out, _ = clean(many, replace(ORDER, keys=4))
    assert list(contents(out)) == [0, 2, 3, 4, 5, 6, 7, 8, 9]


def test_the_clean_part_loses_what_the_dirty_part_supersedes() -> None:
    log = joined([(b"a", b"1")], [(b"b", b"1")], [(b"a", b"2")])
    assert list(contents(clean(log, replace(ORDER, dirty_from=2))[0])) == [1, 2]


def test_records_below_the_log_start_go() -> None:
    log = joined([(b"a", b"1")], [(b"b", b"1"), (b"c", b"1")])
    assert list(contents(clean(log, replace(ORDER, start=2))[0])) == [2]


# -- tombstones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_a_tombstone_stays_for_its_time_and_then_goes(codec: str) -> None:
    log = joined([(b"a", b"1")], [(b"a", None), (b"b", b"1")], codec=codec)
    once, _ = clean(log)
    assert contents(once) == {1: (b"a", None), 2: (b"b", b"1")}
    (batch,) = batches(once)
    assert has_horizon(batch) and batch.base_timestamp == 10_500
    assert [seen.at_ms for seen in read_by_a_client(once)] == [1000, 1001]
    assert clean(once, replace(ORDER, now_ms=10_499))[0] == once
    later, _ = clean(once, replace(ORDER, now_ms=10_500))
    assert contents(later) == {2: (b"b", b"1")}
    assert read_by_a_client(later)[0].at_ms == 1001


def test_no_tombstone_goes_behind_a_batch_that_cannot_be_opened() -> None:
    """The batch may hold what the tombstone deleted: it would come back."""
    bomb = keyed([(b"a", b"x" * 2 * MIB)], base=0, codec="zstd")
    log = bomb + keyed([(b"a", None)], base=1)
    once, tally = clean(log)
    again, _ = clean(once, replace(ORDER, now_ms=1_000_000))
    assert tally.unopened == 1
    assert split(again)[0] == bomb
    assert contents(split(again)[1]) == {1: (b"a", None)}


@pytest.mark.parametrize(
    "payload", [b"", b"\0", b"\x80" * 20, b"\x02" + b"\0" * 40, b"garbage that is no record at all"]
)
def test_a_batch_of_lies_stays_as_it_is(payload: bytes) -> None:
    liar = bytearray(keyed([(b"a", b"1")], base=0))
    head = bytes(liar[:8]) + struct.pack(">i", 49 + len(payload)) + bytes(liar[12:61])
    log = head + payload + keyed([(b"a", b"2")], base=1)
    out, tally = clean(log)
    assert (out, tally.unopened) == (log, 1)


# -- transactions ------------------------------------------------------------------------------------------------------


def data(producer: int, base: int, *pairs: Pair) -> bytes:
    return keyed(list(pairs), base=base, producer=producer, sequence=base, transactional=True)


def test_an_aborted_record_supersedes_nothing_and_goes() -> None:
    log = keyed([(b"a", b"1")], base=0) + data(7, 1, (b"a", b"2")) + marker(7, 2, commit=False)
    assert contents(clean(log)[0]) == {0: (b"a", b"1")}


def test_a_committed_record_supersedes() -> None:
    log = keyed([(b"a", b"1")], base=0) + data(7, 1, (b"a", b"2")) + marker(7, 2, commit=True)
    assert contents(clean(log)[0]) == {1: (b"a", b"2")}


def test_nothing_from_an_open_transaction_on_is_touched() -> None:
    log = keyed([(b"a", b"1")], base=0) + keyed([(b"a", b"2")], base=1)
    log += data(7, 2, (b"a", b"3")) + keyed([(b"a", b"4")], base=3)
    assert list(contents(clean(log)[0])) == [1, 2, 3]


def test_an_open_transaction_does_not_hide_the_end_of_an_earlier_one() -> None:
    log = keyed([(b"a", b"1")], base=0) + data(7, 1, (b"a", b"2")) + data(8, 2, (b"b", b"1"))
    log += marker(7, 3, commit=False) + keyed([(b"c", b"1")], base=4)
    assert list(contents(clean(log)[0])) == [0, 2, 4]


def test_a_marker_goes_after_the_last_record_of_its_transaction_and_its_time() -> None:
    log = data(7, 0, (b"a", b"1")) + marker(7, 1, commit=True) + keyed([(b"a", b"2")], base=2)
    with_records = clean(log)[0]
    assert [batch.is_control for batch in batches(with_records)] == [True, False]
    assert not any(has_horizon(batch) for batch in batches(with_records))
    noted = clean(with_records)[0]
    assert [has_horizon(batch) for batch in batches(noted)] == [True, False]
    assert clean(noted, replace(ORDER, now_ms=10_499))[0] == noted
    assert [batch.is_control for batch in batches(clean(noted, replace(ORDER, now_ms=10_500))[0])] == [False]


def test_the_last_batch_of_a_known_producer_stays_empty() -> None:
    log = keyed([(b"a", b"1"), (b"b", b"1")], base=0, producer=5, sequence=8, codec="zstd")
    log += keyed([(b"a", b"2"), (b"b", b"2")], base=2)
    kept = clean(log, replace(ORDER, producers={5: 2}))[0]
    empty, _ = batches(kept)
    assert (empty.count, empty.codec, empty.producer_id, empty.last_sequence) == (0, "none", 5, 9)
    assert (empty.base_offset, empty.next_offset, empty.size_bytes) == (0, 2, 61)
    assert list(contents(kept)) == [2, 3]
    assert clean(kept, replace(ORDER, producers={5: 2}))[0] == kept
    assert len(split(clean(kept)[0])) == 1


# -- any log -----------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    [b"k%d" % n for n in range(6)] + [b"a key longer than sixteen bytes", b"another one that is long"]
)
PAIRS = st.tuples(st.one_of(KEYS, KEYS, KEYS, st.none()), st.one_of(st.binary(max_size=8), st.none()))
BATCHES = st.lists(st.tuples(st.lists(PAIRS, min_size=1, max_size=8), st.sampled_from(CODECS)), min_size=1, max_size=12)


def survivors(log: bytes) -> dict[bytes, Seen]:
    """The model: the last record of each key."""
    return {seen.key: seen for seen in read_by_a_client(log) if seen.key is not None}


@settings(max_examples=150, deadline=None)
@given(BATCHES, st.data())
def test_any_log_keeps_exactly_the_last_record_of_each_key(groups: Any, more: Any) -> None:
    log, base = b"", 0
    for pairs, codec in groups:
        log += keyed(pairs, base=base, codec=codec, at_ms=1000 + base)
        base += len(pairs)
    expected = survivors(log)
    once, _ = clean(log)
    assert sorted(read_by_a_client(once), key=lambda seen: seen.offset) == sorted(
        expected.values(), key=lambda seen: seen.offset
    )
    assert clean(once)[0] == once
    cut = more.draw(st.integers(0, base))
    dirty = replace(ORDER, dirty_from=max((b.next_offset for b in batches(log) if b.next_offset <= cut), default=0))
    halfway, _ = clean(log, replace(ORDER, end=dirty.dirty_from))
    assert survivors(clean(halfway, dirty)[0]) == expected
    later, _ = clean(once, replace(ORDER, now_ms=20_000))
    assert read_by_a_client(later) == [seen for seen in read_by_a_client(once) if seen.value is not None]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["plain", "in", "in", "commit", "abort"]), st.integers(0, 2), KEYS, st.binary(max_size=4)
        ),
        max_size=30,
    )
)
def test_any_mix_of_transactions_shows_what_a_reader_of_committed_records_would_see(steps: Any) -> None:
    log, model, base = b"", {}, 0
    running: dict[int, dict[bytes, bytes]] = {}
    for what, producer, key, value in steps:
        if what == "plain":
            log += keyed([(key, value)], base=base)
            model[key] = (base, value)
        elif what == "in":
            log += data(producer, base, (key, value))
            running.setdefault(producer, {})[key] = value, base  # type: ignore[assignment]
        elif producer in running:
            log += marker(producer, base, commit=what == "commit")
            ended = running.pop(producer)
            for name, (last, offset) in ended.items() if what == "commit" else ():  # type: ignore[misc]
                if model.get(name, (-1,))[0] < offset:
                    model[name] = (offset, last)
        else:
            continue
        base += 1
    for producer in running:
        log += marker(producer, base, commit=False)
        base += 1
    out = clean(log)[0]
    assert contents(out) == {offset: (key, value) for key, (offset, value) in model.items()}


def test_the_worker_answers_frames_as_the_cleaner_would() -> None:
    log = joined([(b"a", b"1"), (b"b", b"1")], [(b"a", b"2")])
    worker = Worker()
    order = {**ORDER.__dict__, "producers": {}}
    assert worker.answer(b"O", json.dumps(order).encode()) is None
    assert worker.answer(b"S", log) == (b"s", b"1")
    assert worker.answer(b"E", b"") == (b"e", b'{"up_to": 3, "again": false}')
    assert worker.answer(b"F", log) == (b"f", b"1" + clean(log)[0])
    kind, told = worker.answer(b"T", b"") or (b"", b"")
    assert (kind, json.loads(told)["removed"]) == (b"t", 1)
