"""Rounds over real HTTP and a cluster held by hand: what is up, what is down, and what the views then say."""

import contextlib
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.collect.collector import Collector, Watch
from agent.collect.lines import Limits
from agent.collect.scrape import read_target
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from rules.errors import NoData
from rules.views import VIEWS
from tests.agent.collect.hand import HandAdmin, MetricsServer, broker_body, registry_body

START = datetime(2026, 11, 22, 16, 0, 0, tzinfo=UTC)


class Bench:
    """Three brokers' metrics, a cluster by hand, a clock by hand."""

    def __init__(self, directory: Path, limits: Limits, *, timeout_s: float = 60.0) -> None:
        self.clock = HandClock(START)
        self.store = SampleStore(directory, clock=self.clock)
        self.servers = [MetricsServer() for _ in range(3)]
        self.admin = HandAdmin()
        targets = tuple(read_target(server.url) for server in self.servers)
        watch = Watch(cluster="c", targets=targets, timeout_s=timeout_s, limits=limits)
        self.collector = Collector(watch, self.store, self.admin, clock=self.clock)
        self.source = StoreSource(self.store, "c")
        self.tick = 0
        self.registered: dict[int, int] = {}

    def rounds(self, count: int, bytes_per_tick: int = 5000) -> Any:
        """Plays rounds, 5 s apart; the clock stays at the last one."""
        for _ in range(count):
            self.tick += 1
            self.clock.wind(5)
            for broker, server in enumerate(self.servers):
                led = [n for (_, n), leader in self.admin.leaders.items() if leader == broker]
                body = broker_body(broker, self.tick, partitions=led, bytes_per_tick=bytes_per_tick)
                server.say(body + registry_body(self.registered))
            for id in self.admin.ends:
                self.admin.ends[id] += 50
            last = self.collector.round()
        return last

    def rows(self, view: str, columns: str = "*", where: str = "true", window_s: float = 60.0) -> list[Any]:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(VIEWS[view].ddl)
            self.source.fill(connection, view, self.clock.now(), window_s)
            return connection.execute(f'SELECT {columns} FROM "{view}" WHERE {where} ORDER BY ALL').fetchall()

    def close(self) -> None:
        self.collector.close()
        self.store.close()
        for server in self.servers:
            server.stop()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, Limits(body_bytes=1 << 20, series=2000))
    yield bench
    bench.close()


def test_a_view_says_so_before_the_first_round(bench: Bench) -> None:
    with pytest.raises(NoData, match="nothing has been collected yet"):
        bench.rows("broker_load")


def test_rates_are_what_the_counters_moved_in_a_second(bench: Bench) -> None:
    bench.rounds(4)
    assert bench.rows("broker_load", "broker, bytes_in_per_s, bytes_out_per_s, requests_per_s, leaders") == [
        (str(broker), 1000.0, 2000.0, 30.0, 2) for broker in range(3)
    ]
    assert bench.rows("partition_load", "DISTINCT bytes_in_per_s, records_in_per_s, basis") == [
        (1000.0, 10.0, "measured")
    ]
    assert bench.rows("request_stats", "requests_per_s, errors_per_s, p99_s", "api = 'Produce' AND broker = '0'") == [
        (20.0, 0.2, 0.012)
    ]


def test_one_round_is_no_rate_and_unknown_is_null(bench: Bench) -> None:
    bench.rounds(1)
    assert bench.rows("broker_load", "DISTINCT bytes_in_per_s, idle_share") == [(None, None)]


def test_a_counter_that_was_reset_never_gives_a_negative_rate(bench: Bench) -> None:
    bench.rounds(3)
    bench.tick = 0
    bench.rounds(3)
    assert bench.rows("broker_load", "DISTINCT bytes_in_per_s") == [(1000.0,)]


def test_a_partition_that_moved_keeps_its_whole_rate(bench: Bench) -> None:
    bench.rounds(3)
    bench.admin.leaders["orders", 0] = 1
    last = bench.rounds(3)
    assert bench.rows("partition", "leader", "partition = 0") == [("1",)]
    assert [event.kind for event in last.events] == []
    assert bench.rows("event", "kind, resource, detail") == [
        (kind, "c/topic/orders/0", "from 0 to 1") for kind in ("leader_change", "move")
    ]


def test_a_target_that_is_down_is_a_gap_and_the_others_lose_nothing(bench: Bench) -> None:
    bench.rounds(3)
    bench.servers[1].status = 500
    last = bench.rounds(3)
    assert list(last.down.values()) == ["HTTP status 500"]
    assert bench.rows("source", "reason", "NOT up") == [("HTTP status 500",)]
    assert bench.rows("broker_load", "broker", "bytes_in_per_s IS NULL") == [("1",)]
    assert bench.rows("broker_load", "count(*)", "bytes_in_per_s = 1000") == [(2,)]


@pytest.mark.parametrize(
    ("registered", "shown"),
    [
        ({0: 1, 1: 1}, [("0", True), ("1", True)]),
        ({0: 1, 1: 1, 2: 0}, [("0", True), ("1", True), ("2", False)]),
        ({}, [("0", True), ("1", True), ("2", False)]),
    ],
    ids=["it signed off", "it died", "a source that does not tell"],
)
def test_a_broker_that_signed_off_leaves_the_view_and_one_that_died_stays(
    bench: Bench, registered: dict[int, int], shown: list[tuple[str, bool]]
) -> None:
    bench.registered = dict.fromkeys(range(3), 1) if registered else {}
    bench.rounds(3)
    assert bench.rows("broker", "broker, up") == [("0", True), ("1", True), ("2", True)]
    bench.registered = registered
    bench.servers[2].status = 500
    bench.admin.nodes.pop()
    bench.rounds(3)
    assert bench.rows("broker", "broker, up") == shown


def test_a_broker_that_was_gone_before_anybody_looked_is_down_while_replicas_are_placed_on_it(bench: Bench) -> None:
    bench.registered = {}
    bench.servers[2].status = 500
    bench.admin.nodes.pop()
    bench.admin.leaders, bench.admin.followers = dict.fromkeys(bench.admin.leaders, 0), (1, 2)
    bench.rounds(3)
    assert bench.rows("broker", "broker, up") == [("0", True), ("1", True), ("2", False)]


def test_a_broker_that_signed_off_does_not_wait_for_its_last_answer_to_grow_old(bench: Bench) -> None:
    bench.registered = dict.fromkeys(range(3), 1)
    bench.rounds(3)
    bench.registered = {0: 1, 1: 1}
    bench.servers[2].status = 500
    bench.admin.nodes.pop()
    bench.rounds(1)
    assert bench.rows("broker", "broker") == [("0",), ("1",)]


def test_a_target_that_hangs_costs_only_its_own_samples(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Limits(), timeout_s=2.0)
    bench.servers[2].hold.clear()
    last = bench.rounds(1)
    bench.close()
    assert list(last.down.values()) == ["no answer within 2 s"]
    assert last.samples > 50


def test_a_cardinality_bomb_is_refused_whole_and_said(bench: Bench) -> None:
    bench.rounds(2)
    bench.servers[0].say("\n".join(f'bomb{{n="{n}"}} 1' for n in range(3000)))
    last = bench.collector.round()
    assert list(last.down.values()) == ["more than 2000 series: nothing of this scrape was kept"]
    bench.servers[0].say("# a comment\n" * (2 << 16))
    bench.clock.wind(5)
    assert "a body over 1048576 bytes" in next(iter(bench.collector.round().down.values()))


def test_a_broker_that_left_the_metadata_is_down_and_not_forgotten(bench: Bench) -> None:
    bench.rounds(3)
    del bench.admin.nodes[2]
    bench.servers[2].status = 503
    bench.rounds(4)
    assert bench.rows("broker", "broker, up, kind, zone") == [
        ("0", True, "bundled", "zone-0"),
        ("1", True, "bundled", "zone-0"),
        ("2", False, "bundled", "zone-2"),
    ]
    assert bench.rows("event", "resource", "kind = 'broker_left'") == [("c/broker/2",)]
    bench.clock.wind(3700)
    bench.rounds(1)
    assert bench.rows("broker", "broker, up", "NOT up") == [("2", False)]
    bench.admin.leaders = dict.fromkeys(bench.admin.leaders, 0)
    bench.rounds(1)
    assert bench.rows("broker", "count(*)") == [(2,)]


def test_metrics_still_answer_when_the_admin_api_does_not(bench: Bench) -> None:
    bench.rounds(3)
    bench.admin.gone = True
    last = bench.rounds(3)
    assert "admin" in last.down
    assert bench.rows("broker", "count(*)", "up") == [(3,)]
    assert bench.rows("partition", "count(*)", "data_age_s = 15") == [(6,)]


def test_lag_is_told_in_records_in_seconds_and_as_a_share_of_the_retention(bench: Bench) -> None:
    bench.admin.configs["retention.ms"] = "100000"
    bench.rounds(2)
    bench.admin.offsets["g"] = {("orders", 0): 100, ("orders", 1): 10_000}
    bench.admin.members["g"] = 1
    bench.rounds(4)
    assert bench.rows("group_state", "group_id, state, members") == [("g", "Stable", 1)]
    stuck, ahead = bench.rows("group_lag", "lag_records, lag_s, round(lag_s_slope, 6), retention_share, member_id")[
        ::-1
    ]
    assert stuck[0] == 200
    assert stuck[1] == pytest.approx(20, abs=0.1)
    assert stuck[2:] == (1.0, pytest.approx(0.2, abs=0.001), "g-0")
    assert ahead[:2] == (0, 0.0)


def test_lag_in_seconds_is_as_old_after_a_restart_of_the_agent(bench: Bench) -> None:
    bench.admin.offsets["g"] = {("orders", 0): 100}
    bench.rounds(40)
    before = bench.rows("group_lag", "lag_s")
    bench.collector.close()
    bench.admin.gone = False
    bench.collector = Collector(bench.collector.watch, bench.store, bench.admin, clock=bench.clock)
    bench.rounds(1)
    assert bench.rows("group_lag", "lag_s") == [(pytest.approx(before[0][0] + 5, abs=0.5),)]
    assert before[0][0] > 180


def test_clients_across_zones_are_known_and_unknown_zones_are_null(bench: Bench) -> None:
    bench.rounds(3)
    columns = "resource, bytes_per_s, cross_zone_bytes_per_s, client_zone, codec, batch_bytes_avg"
    assert bench.rows("client_load", columns, "broker = '0'") == [
        ("c/client/nomad", 1000.0, None, None, None, None),
        ("c/client/shop%2F1", 1000.0, 1000.0, "zone-9", "none", 1000.0),
    ]


def test_a_cluster_without_metrics_still_has_topology_lag_and_estimated_load(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Limits())
    bench.collector = Collector(Watch(cluster="c"), bench.store, bench.admin, clock=bench.clock)
    bench.rounds(3)
    assert bench.rows("broker", "DISTINCT kind, up") == [("kafka", True)]
    assert bench.rows("partition_load", "DISTINCT bytes_in_per_s, records_in_per_s, basis") == [
        (None, 10.0, "estimated")
    ]
    assert bench.rows("topic_config", "value", "name = 'cleanup.policy'") == [("delete",)]
    bench.close()


def test_every_view_is_filled_or_says_why_not(bench: Bench) -> None:
    bench.rounds(3)
    reasons = {}
    for view in VIEWS:
        try:
            bench.rows(view, "cluster")
        except NoData as gap:
            reasons[view] = gap.reason
    assert set(reasons) == {"client_telemetry", "bill", "cost"}
    assert all(reasons.values())


def test_a_new_agent_on_the_same_store_goes_on_where_the_old_one_stopped(bench: Bench) -> None:
    bench.rounds(3)
    bench.source = StoreSource(bench.store, "c")
    bench.collector = Collector(bench.collector.watch, bench.store, bench.admin, clock=bench.clock)
    bench.rounds(1)
    assert bench.rows("broker_load", "DISTINCT bytes_in_per_s") == [(1000.0,)]
    assert bench.source.age_s("broker_load", bench.clock.now()) == 15.0


def told(bench: Bench, name: str) -> list[Any]:
    """Values of a metric of the first target, in order of time; None where a series ended."""
    now = bench.clock.now()
    relation = bench.store.relation("samples", now - timedelta(hours=1), now)
    rows = bench.store.query(
        f"SELECT value FROM {relation} x JOIN series s ON s.id = x.series WHERE s.name = $name AND target = $target "
        "ORDER BY ts",
        {"name": name, "target": f"{bench.servers[0].url}"},
    )
    return rows["value"].tolist()


def test_every_attempt_says_whether_the_target_was_up(bench: Bench) -> None:
    bench.rounds(2)
    bench.servers[0].status = 500
    bench.rounds(2)
    bench.servers[0].status = 200
    bench.rounds(1)
    assert told(bench, "up") == [1.0, 1.0, 0.0, 0.0, 1.0]
    assert len(told(bench, "scrape_duration_seconds")) == 5
    assert set(told(bench, "scrape_samples_scraped")) == {36.0}


def test_series_of_a_target_that_is_down_end_once_and_begin_again(bench: Bench) -> None:
    bench.rounds(2)
    bench.servers[0].status = 500
    bench.rounds(2)
    bench.servers[0].status = 200
    bench.rounds(1)
    assert told(bench, "process_cpu_seconds_total") == [0.5, 1.0, None, 2.5]


def test_a_series_that_vanishes_ends(bench: Bench) -> None:
    for text in ("a 1\nb 2\n", "a 2\n", "a 3\n", "a 4\nb 5\n"):
        bench.servers[0].say(text)
        bench.clock.wind(5)
        bench.collector.round()
    assert told(bench, "a") == [1.0, 2.0, 3.0, 4.0]
    assert told(bench, "b") == [2.0, None, 5.0]


def test_a_compressed_body_is_read_in_bounded_steps(bench: Bench) -> None:
    bench.servers[0].encoding = "gzip"
    bench.servers[0].body = gzip.compress("".join(f'a{{n="{n}"}} 1\n' for n in range(1500)).encode())
    assert len(bench.collector.round().down) == 0
    bench.servers[0].body = gzip.compress(b"a" * (100 << 20))
    assert "a line over 65536 bytes" in bench.collector.round().down[bench.servers[0].url]
    bench.servers[0].body = bench.servers[0].body[:-9]
    bench.servers[1].encoding = "br"
    down = bench.collector.round().down
    assert "br" in down[bench.servers[1].url]
    assert len(down) == 2


def test_targets_start_apart_and_always_with_the_same_delay(tmp_path: Path) -> None:
    targets = tuple(read_target(f"127.0.0.1:{port}") for port in range(1, 9))
    watch = Watch(cluster="c", targets=targets, spread_s=2.0)
    with contextlib.closing(SampleStore(tmp_path, clock=HandClock(START))) as store:
        delays = [
            [scraper.delay_s for scraper in collector.scrapers]
            for collector in (Collector(watch, store, None, clock=HandClock(START)) for _ in range(2))
        ]
    assert delays[0] == delays[1]
    assert len(set(delays[0])) == 8
    assert 0 <= min(delays[0]) < 1 < max(delays[0]) < 2
