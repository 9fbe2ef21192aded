"""What is counted, and how strangers cannot make it grow without end."""

from dataclasses import dataclass

import pytest

from broker.clock import SystemClock
from broker.records.batch import PREFIX_BYTES, Batch
from broker.telemetry.clients import write_clients, write_requests
from broker.telemetry.cluster import Partitions
from broker.telemetry.counters import MAX_CLIENTS, Counters
from broker.telemetry.exposition import Page
from broker.telemetry.histogram import Histogram
from broker.telemetry.quantiles import Durations
from broker.turns import Turns


def batch(size_bytes: int, count: int, codec: str) -> Batch:
    """What the counters look at: the rest is zero."""
    attributes = ("none", "gzip", "snappy", "lz4", "zstd").index(codec)
    return Batch(0, 0, size_bytes - PREFIX_BYTES, 0, 0, attributes, 0, 0, 0, -1, -1, -1, count)


@dataclass
class Client:
    client_id: str = "app"
    peer: str = "127.0.0.1"
    software_name: str = "librdkafka"
    zone: str | None = None


@dataclass
class Figures:
    topic: str
    index: int
    log_start: int = 0
    log_end: int = 7
    size_bytes: int = 70


class HandClock:
    def __init__(self):
        self.now = 0.0

    def wall_ms(self):
        return 0

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def counters():
    return Counters(clock=HandClock(), zone="z1")


def test_bytes_are_counted_by_partition_client_and_codec(counters):
    counters.produced(Client(), "orders", 0, [batch(100, 3, "zstd")])
    counters.produced(Client(), "orders", 1, [batch(50, 1, "none")])
    counters.fetched(Client(), "orders", 0, 70)
    assert counters.partition_bytes["orders", 0] == [100, 70]
    assert counters.topic_records[("orders",)] == 4
    assert (counters.bytes_in, counters.bytes_out) == (150, 70)
    assert counters.client_batches["app", "zstd"] == 1
    assert counters.client_bytes["app", "produce", "", "librdkafka"] == 150


def test_another_zone_crosses_the_own_does_not_and_an_unknown_one_is_not_counted(counters):
    counters.fetched(Client(client_id="far,zone=z2"), "orders", 0, 10)
    counters.fetched(Client(client_id="near,zone=z1"), "orders", 0, 10)
    counters.fetched(Client(client_id="somewhere"), "orders", 0, 10)
    counters.fetched(Client(client_id="racked", zone="z3"), "orders", 0, 5)
    assert counters.cross_zone_bytes == {
        ("far,zone=z2", "fetch"): 10,
        ("near,zone=z1", "fetch"): 0,
        ("racked", "fetch"): 5,
    }


def test_client_ids_past_the_limit_share_one_name(counters):
    for number in range(MAX_CLIENTS + 20):
        counters.produced(Client(client_id=f"c{number}"), "orders", 0, [batch(1, 1, "none")])
    assert len(counters.client_bytes) == MAX_CLIENTS + 1
    assert counters.client_bytes["other", "produce", "", "librdkafka"] == 20


def test_names_from_strangers_are_escaped(counters):
    counters.produced(Client(client_id='a"b\\c\nd'), "orders", 0, [batch(1, 1, "none")])
    page = Page()
    write_clients(page, counters)
    assert 'client_id="a\\"b\\\\c\\nd"' in page.text()


async def test_partitions_are_shown_by_their_owner_with_zero_before_the_first_byte(counters):
    counters.produced(Client(), "orders", 0, [batch(100, 3, "zstd")])
    page = Page()
    partitions = Partitions(counters, Turns(SystemClock()))
    await partitions.write(page, [Figures("orders", 0), Figures("orders", 1)])
    lines = page.text().splitlines()
    assert 'kafka_network_io_bytes_total{topic="orders",partition="0",direction="in"} 100' in lines
    assert 'kafka_network_io_bytes_total{topic="orders",partition="1",direction="in"} 0' in lines
    assert 'kafka_log_end_offset{topic="orders",partition="1"} 7' in lines


def test_request_times_have_a_median_and_a_tail(counters):
    for _ in range(98):
        counters.request("Fetch", 16, 0.010, None)
    counters.request("Fetch", 16, 1.0, "NOT_LEADER_OR_FOLLOWER")
    counters.request("Fetch", 16, 1.0, None)
    page = Page()
    write_requests(page, counters, 0.0)
    shown = dict(line.rsplit(" ", 1) for line in page.text().splitlines() if not line.startswith("#"))
    assert float(shown['kafka_request_time_50p_milliseconds{type="Fetch"}']) == pytest.approx(10, rel=0.16)
    assert float(shown['kafka_request_time_99p_milliseconds{type="Fetch"}']) == pytest.approx(1000, rel=0.16)
    assert shown['kafka_request_count_total{type="Fetch",version="16"}'] == "100"
    assert shown['kafka_request_error_count_total{type="Fetch",error="NOT_LEADER_OR_FOLLOWER"}'] == "1"


def test_durations_older_than_two_minutes_do_not_count():
    durations = Durations(0.0)
    durations.observe(5.0, 0.0)
    durations.observe(0.001, 70.0)
    assert durations.quantile(0.99, 70.0) > 4
    assert durations.quantile(0.99, 140.0) < 0.01
    assert durations.quantile(0.99, 1000.0) is None


def test_a_histogram_is_cumulative():
    histogram, page = Histogram((1, 2)), Page()
    for value in (0.5, 1, 1.5, 9):
        histogram.observe(value)
    histogram.write(page, "x", (("a", "b"),))
    assert page.text().splitlines() == [
        'x_bucket{a="b",le="1"} 2',
        'x_bucket{a="b",le="2"} 3',
        'x_bucket{a="b",le="+Inf"} 4',
        'x_sum{a="b"} 12',
        'x_count{a="b"} 4',
    ]


def test_series_of_deleted_topics_go(counters):
    counters.produced(Client(), "old", 0, [batch(100, 3, "zstd")])
    counters.forget_topics({"orders"})
    assert not counters.partition_bytes
    assert not counters.topic_records
