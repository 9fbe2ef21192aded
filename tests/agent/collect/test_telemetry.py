"""What clients report of themselves, from both ways in: the brokers' pages (KIP-714) and OTLP."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.collect.collector import Collector, Watch
from agent.collect.mapping import resolve
from agent.collect.otlp import Point, Reading, Refusals
from agent.collect.pushed import SILENT_S
from agent.collect.scrape import Target
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from rules import catalogue
from rules.engine import NoData, Workspace, candidate_rows
from tests.agent.collect.hand import HandAdmin, MetricsServer


def said(client, metric, value):
    labels = f'client_id="{client}",software="s",version="1",client_zone="z",metric="{metric}"'
    return f"streampilot_client_telemetry{{{labels}}} {value}\n"


class Bench:
    """Two brokers' pages, and pushes."""

    def __init__(self, folder):
        self.clock = HandClock(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
        self.servers = [MetricsServer(), MetricsServer()]
        self.store = SampleStore(folder, clock=self.clock)
        targets = tuple(Target(url=server.url, broker=str(number)) for number, server in enumerate(self.servers))
        watch = Watch(cluster="c", targets=targets, timeout_s=10)
        self.collector = Collector(watch, self.store, HandAdmin(), clock=self.clock)
        self.source = StoreSource(self.store, "c")

    def round(self):
        self.clock.wind(5)
        self.collector.round()

    def push(self, name, value, **labels):
        point = Point(target="otlp/app", name=name, labels=tuple(labels.items()), value=value, at_ns=0)
        assert not self.collector.pushed.take(Reading(points=[point], refusals=Refusals())).count

    def rows(self):
        with Workspace(self.source, self.clock.now() + timedelta(milliseconds=1)) as workspace:
            found = workspace.rows("client_telemetry", 60.0)
        return {(row["resource"], row["client_id"], row["metric"]): row["value"] for row in found}


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.collector.close()
    made.store.close()
    for server in made.servers:
        server.stop()


def test_instances_at_several_brokers_are_one_client(bench):
    for server, total, latency in zip(bench.servers, (7, 5), (0.5, 2.0), strict=True):
        server.say(said("shop/1", "producer.record.total", total) + said("shop/1", "producer.latency.max", latency))
    bench.round()
    client = ("c/client/shop%2F1", "shop/1")
    assert bench.rows() == {(*client, "producer.record.total"): 12.0, (*client, "producer.latency.max"): 2.0}


def test_what_is_pushed_stays_current_between_pushes_and_what_is_scraped_does_not(bench):
    bench.servers[0].say(said("a", "producer.latency.max", 1))
    bench.push("kafka_consumer_records_lag_max", 40.0, client_id="b")
    bench.round()
    scraped, pushed = ("c/client/a", "a", "producer.latency.max"), ("c/client/b", "b",
                       "consumer.fetch.manager.records.lag.max")  # fmt: skip
    assert bench.rows() == {scraped: 1.0, pushed: 40.0}
    bench.servers[0].status = 500
    for _ in range(20):
        bench.round()
    assert bench.rows() == {pushed: 40.0}
    bench.clock.wind(SILENT_S)
    bench.round()
    assert bench.rows() == {}


@pytest.mark.parametrize("way", ["the broker", "OTLP"])
def test_a_rule_on_what_clients_say_judges_whichever_way_it_came(bench, way):
    if way == "OTLP":
        bench.push("kafka_consumer_time_between_poll_max", 270_000.0, client_id="biller")
    else:
        bench.servers[0].say(said("biller", "consumer.time.between.poll.max", 270_000))
    bench.round()
    rule = catalogue.load().get("CLI-08")
    with Workspace(bench.source, bench.clock.now() + timedelta(milliseconds=1)) as workspace:
        connection = workspace.materialise("client_telemetry", rule.window_s)
        (row,) = candidate_rows(connection, rule, rule.bind(), 30.0)
    assert (row["resource"], row["fired"], row["observed"]) == ("c/client/biller", True, 270.0)


def test_without_any_it_is_said_how_they_could_come(bench):
    bench.round()
    with pytest.raises(NoData, match=r"KIP-714.*OTLP"):
        bench.rows()


@pytest.mark.parametrize(
    ("name", "labels", "metric"),
    [
        ("org_apache_kafka_producer_record_queue_time_max", {"client_id": "p"}, "producer.record.queue.time.max"),
        ("kafka_producer_batch_size_avg", {"client_id": "p"}, "producer.batch.size.avg"),
        ("kafka_consumer_poll_idle_ratio_avg", {"client_id": "p"}, "consumer.poll.idle.ratio.avg"),
        ("kafka_consumer_rebalance_total", {"client_id": "p"}, "consumer.coordinator.rebalance.total"),
        ("kafka_producer_batch_size_avg", {}, None),
        ("kafka_consumergroup_lag", {"client_id": "p"}, None),
    ],
)
def test_a_clients_names_are_those_of_kip_714(name, labels, metric):
    found = resolve(name, labels)
    assert (dict(found.dimensions)["metric"] if found else None) == metric
