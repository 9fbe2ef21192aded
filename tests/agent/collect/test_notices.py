"""A broker that shows a spot notice: one event when it begins, one when it is withdrawn, over real HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from agent.collect.changes import Event
from agent.collect.collector import Collector, Watch
from agent.collect.notices import of_machines
from agent.collect.scrape import read_target
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from rules.views import VIEWS
from tests.agent.collect.hand import HandAdmin, MetricsServer, broker_body

START = datetime(2026, 11, 22, 16, 0, 0, tzinfo=UTC)
SINCE = "kafka_stream_spot_notice_timestamp_seconds"
DEADLINE = "kafka_stream_spot_notice_deadline_timestamp_seconds"
AWS = 'kind="interruption",source="aws",detail="terminate"'
TERMINATE = (
    f"{SINCE}{{{AWS}}} {START.timestamp() + 4.25:.15g}\n{DEADLINE}{{{AWS}}} {START.timestamp() + 120:.15g}\n"
    "streampilot_broker_cordoned 1\n"
)
REBALANCE = f'{SINCE}{{kind="rebalance",source="aws",detail="rebalance recommendation"}} {START.timestamp():.15g}\n'
CALM = "streampilot_broker_cordoned 0\n"
TOLD = "aws: terminate, told 2026-11-22T16:00:04Z, gone by 2026-11-22T16:02:00Z"


class Bench:
    """Brokers 0 and 1, of which broker 1 shows what it is told to."""

    def __init__(self, directory: Path) -> None:
        self.clock = HandClock(START)
        self.store = SampleStore(directory, clock=self.clock)
        self.servers = [MetricsServer() for _ in range(2)]
        self.start()

    def start(self) -> None:
        """The agent, anew on what the store holds."""
        targets = tuple(read_target(server.url) for server in self.servers)
        watch = Watch(cluster="c", targets=targets, timeout_s=2)
        self.collector = Collector(watch, self.store, HandAdmin(), clock=self.clock)

    def round(self, shown: str) -> list[tuple[str, str, str]]:
        """What one round told of machines."""
        self.clock.wind(5)
        for broker, server in enumerate(self.servers):
            server.say(broker_body(broker, 1, partitions=()) + (shown if broker else CALM))
        return [row(event) for event in of_machines(self.collector.round().events)]

    def rows(self, view: str, columns: str) -> list[tuple[object, ...]]:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(VIEWS[view].ddl)
            StoreSource(self.store, "c").fill(connection, view, self.clock.now(), 60.0)
            return connection.execute(f'SELECT {columns} FROM "{view}" ORDER BY ALL').fetchall()

    def close(self) -> None:
        self.collector.close()
        self.store.close()
        for server in self.servers:
            server.stop()


def row(event: Event) -> tuple[str, str, str]:
    return event.resource, event.kind, event.detail


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_a_notice_is_an_event_of_its_broker_once_and_so_is_its_end(bench: Bench) -> None:
    assert bench.round(CALM) == []
    assert bench.round(TERMINATE) == [("c/broker/1", "spot_notice", TOLD)]
    assert bench.round(TERMINATE) == []
    assert bench.rows("event", "resource, kind, source, detail") == [("c/broker/1", "spot_notice", "metrics", TOLD)]
    assert bench.rows("broker", "broker, cordoned") == [("0", False), ("1", True), ("2", None)]
    assert bench.round(CALM) == [("c/broker/1", "spot_notice_withdrawn", TOLD)]
    assert bench.round(CALM) == []


def test_a_rebalance_recommendation_is_a_warning_and_a_notice_beside_it_another_event(bench: Bench) -> None:
    said = "aws: rebalance recommendation, told 2026-11-22T16:00:00Z"
    assert bench.round(REBALANCE) == [("c/broker/1", "spot_warning", said)]
    assert [kind for _, kind, _ in bench.round(TERMINATE)] == ["spot_notice", "spot_warning_withdrawn"]


def test_an_agent_that_starts_anew_does_not_tell_it_again(bench: Bench) -> None:
    assert len(bench.round(TERMINATE)) == 1
    bench.collector.close()
    bench.start()
    assert bench.round(TERMINATE) == []
    assert [kind for _, kind, _ in bench.round(CALM)] == ["spot_notice_withdrawn"]


def test_a_broker_that_is_gone_has_withdrawn_nothing(bench: Bench) -> None:
    bench.round(TERMINATE)
    bench.servers[1].status = 500
    assert bench.round(CALM) == []


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-1", "1e300"])
def test_a_number_that_is_no_time_is_shown_as_it_is(bench: Bench, number: str) -> None:
    (told,) = bench.round(f"{SINCE}{{{AWS}}} {number}\n")
    assert told[2].startswith("aws: terminate, told ")
    assert bench.round(f"{SINCE}{{{AWS}}} {number}\n") == []


@pytest.mark.parametrize("odd", [f'{SINCE}{{kind="party"}} 1\n', f"{SINCE} 1\n", f"{DEADLINE}{{{AWS}}} 5\n"])
def test_what_is_no_notice_is_no_event(bench: Bench, odd: str) -> None:
    assert bench.round(odd) == []
