"""The bench's arithmetic, and its raw load against one broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import arms, latency, rounds, tables
from tests.bench.raw import Load


def test_a_ratio_is_the_median_of_the_rounds_between_its_bounds() -> None:
    found = tables.ratio([2.0, 4.0, 6.0], [1.0, 2.0, 2.0])
    assert found.low == 2.0 and found.median == 2.0 and found.high == 3.0
    assert str(tables.ratio([1.0], [0.0])) == "nan (nan to nan)"


def test_each_arm_of_ours_is_set_against_all_others() -> None:
    columns = [tables.Column(title="MiB/s", of=float, over="produce")]
    told = tables.table("x", columns, {arms.OURS: [4.0], arms.ELSEWHERE: [6.0], "another": [2.0]})
    assert "| arm | MiB/s | produce, ours over it | produce, objects elsewhere over it |" in told
    assert told.endswith("| another | 2.0 (2.0 to 2.0) | 2.00 (2.00 to 2.00) | 3.00 (3.00 to 3.00) |")


@pytest.mark.heavy
def test_a_round_reads_back_all_that_it_produced(tmp_path: Path) -> None:
    load = Load(name="small", batch_bytes=2048, partitions=4, together=4, requests=10)
    with arms.ours(tmp_path / "broker", "--wal-size", "32MiB") as ours:
        figure = rounds.measure(ours, load, 0)
        took = latency.measure(ours, 20, 0)
    assert figure.produce_mib_per_s > 0 and figure.tail_mib_per_s > 0 and figure.rss_mib > 10
    latency.picture({(ours.name, 20): took}, tmp_path / "latency.svg")
    assert (tmp_path / "latency.svg").read_text().count("<rect") == 36
