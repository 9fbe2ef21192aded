"""The load: rates per partition are kept, sizes on the wire are what was asked for."""

import random
import zlib
from itertools import repeat

from agent.demo.pace import Pacer
from agent.demo.payload import HEADER, OVERHEAD_BYTES, Mark, Payloads, read_mark
from agent.demo.scenario import Stream, Traffic


def traffic(*rates: float, hot_share: float = 0.0) -> Traffic:
    streams = tuple(
        Stream(partition=n, owner=0, bytes_per_s=rate, keys=(f"k{n}a", f"k{n}b"), hot_key=f"k{n}a", hot_share=hot_share)
        for n, rate in enumerate(rates)
    )
    return Traffic(topic="orders", streams=streams, producer="p", codec="lz4", group="g", consumer="c")


def test_each_partition_gets_the_bytes_of_its_rate() -> None:
    pacer = Pacer(traffic(100_000.0, 300_000.0), random.Random(1))
    sizes = iter(lambda: random.Random(2).randint(2048, 8192), None)
    sent = [0, 0]
    for _ in range(500):
        for due in pacer.due(0.02, sizes):
            sent[due.partition] += due.wire_bytes
    assert abs(sent[0] / 1_000_000 - 1) < 0.02
    assert abs(sent[1] / 3_000_000 - 1) < 0.02


def test_after_a_stall_the_load_resumes_and_does_not_burst() -> None:
    pacer = Pacer(traffic(100_000.0), random.Random(1))
    assert sum(due.wire_bytes for due in pacer.due(60.0, repeat(4096))) <= 110_000


def test_sequences_count_up_per_partition_and_per_key() -> None:
    pacer = Pacer(traffic(100_000.0), random.Random(1))
    records = list(pacer.due(1.0, repeat(4096)))
    assert [due.mark.sequence for due in records] == list(range(len(records)))
    for key in ("k0a", "k0b"):
        marks = [due.mark.key_sequence for due in records if due.key == key]
        assert marks == list(range(len(marks)))
    assert pacer.sent == {0: len(records)}


def test_the_hot_key_has_its_share() -> None:
    pacer = Pacer(traffic(4_000_000.0, hot_share=0.9), random.Random(1))
    keys = [due.key for due in pacer.due(1.0, repeat(4096))]
    assert keys.count("k0a") / len(keys) > 0.9


def test_an_uncompressed_value_is_as_long_as_its_bytes_on_the_wire() -> None:
    payloads = Payloads(random.Random(1))
    value = payloads.value(Mark(sequence=5, key_sequence=2), 4096, compressed=False)
    assert len(value) == 4096 - OVERHEAD_BYTES + HEADER.size


def test_a_compressed_value_shrinks_to_its_bytes_on_the_wire() -> None:
    payloads = Payloads(random.Random(1))
    values = [payloads.value(Mark(sequence=n, key_sequence=n), 4096, compressed=True) for n in range(50)]
    packed = len(zlib.compress(b"".join(values)))
    assert abs(packed / (50 * 4096) - 1) < 0.03
    assert sum(map(len, values)) > 1.3 * packed


def test_a_mark_is_read_back_and_other_values_have_none() -> None:
    mark = Mark(sequence=1 << 40, key_sequence=7)
    assert read_mark(Payloads(random.Random(1)).value(mark, 2048, compressed=True)) == mark
    assert read_mark(None) is None
    assert read_mark(b"short") is None
    assert read_mark(b"x" * 200) is None
