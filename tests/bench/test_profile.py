"""What `make profile` reads out of py-spy's stacks."""

from __future__ import annotations

from tests.bench.profile import read, table
from tests.bench.raw import Load

STACKS = ("run;begin;check_crc 3", "run;begin 1", "run;send;send 4", "write_durably 2", " 1")


def test_a_function_owns_the_samples_in_which_it_is_innermost() -> None:
    profile = read(STACKS)
    assert profile.samples == 10
    assert profile.own == {"check_crc": 3, "begin": 1, "send": 4, "write_durably": 2}


def test_a_function_that_calls_itself_is_counted_once_a_sample() -> None:
    assert read(STACKS).whole == {"run": 8, "begin": 4, "check_crc": 3, "send": 4, "write_durably": 2}


def test_the_table_begins_with_what_costs_most() -> None:
    load = Load(name="16 KiB batches", batch_bytes=16 << 10, partitions=1, together=1, requests=40)
    lines = table(load, 151.4, read(STACKS)).splitlines()
    assert lines[:2] == ["## 16 KiB batches", "40 requests, 151 us of CPU each; 10 samples."]
    assert lines[5:7] == ["| `send` | 40.0 % | 40.0 % |", "| `check_crc` | 30.0 % | 30.0 % |"]
