"""Targets that files, the cluster and Kubernetes name: taken up, let go, kept while their source does not answer."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from agent.collect.collector import Collector, Watch
from agent.collect.discovery.cluster import HTTP_CONFIG, ClusterFinder
from agent.collect.discovery.discovery import Discovery
from agent.collect.discovery.files import FileFinder
from agent.collect.discovery.finder import CannotFind, Told
from agent.collect.discovery.kubernetes import EVERY_S, KubernetesFinder, Pods
from agent.collect.scrape import Target
from agent.collect.shapes import BrokerNode, ConfigEntry
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from rules.engine import Workspace
from tests.agent.collect.hand import HandAdmin, MetricsServer, broker_body


class TellingAdmin(HandAdmin):
    """Brokers that say where their HTTP is."""

    def __init__(self, http):
        super().__init__(brokers=len(http))
        self.http = http

    def broker_configs(self, brokers):
        found = super().broker_configs(brokers)
        for broker, url in self.http.items():
            found[broker][HTTP_CONFIG] = ConfigEntry(value=url, source="STATIC_BROKER_CONFIG", read_only=True)
        return found


class Bench:
    def __init__(self, folder, finders, admin=None):
        self.clock = HandClock(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
        self.store = SampleStore(folder / "agent", clock=self.clock)
        self.source = StoreSource(self.store, "c")
        self.collector = Collector(
            Watch(cluster="c", timeout_s=10), self.store, admin or HandAdmin(), clock=self.clock, finders=finders,
            assign=self.source.assign,
        )  # fmt: skip

    def rounds(self, count=1):
        for _ in range(count):
            self.clock.wind(5)
            self.last = self.collector.round()

    def rows(self, view, name):
        with Workspace(self.source, self.clock.now() + timedelta(milliseconds=1)) as workspace:
            return sorted(row[name] for row in workspace.rows(view, 60.0) if row[name] is not None)

    def loaded(self):
        """The brokers whose metrics came."""
        with Workspace(self.source, self.clock.now() + timedelta(milliseconds=1)) as workspace:
            rows = workspace.rows("broker_load", 60.0)
        return sorted(row["broker"] for row in rows if row["rss_bytes"] is not None)

    def close(self):
        self.collector.close()
        self.store.close()


@pytest.fixture
def servers():
    made = [MetricsServer(), MetricsServer()]
    for number, server in enumerate(made):
        server.say(broker_body(number, 1, partitions=[number]).replace("streampilot_broker_info", "other_info"))
    yield made
    for server in made:
        server.stop()


def address(server):
    return urlsplit(server.url).netloc


def groups(*pairs):
    return json.dumps([{"targets": [address(server)], "labels": {"broker": id}} for server, id in pairs])


def test_a_file_is_read_again_when_it_changes(tmp_path, servers):
    file = tmp_path / "targets.json"
    file.write_text(groups((servers[0], "0")))
    bench = Bench(tmp_path, [FileFinder(str(tmp_path / "targets*.json"))])
    bench.rounds(2)
    assert bench.rows("source", "target") == ["admin", servers[0].url]
    assert bench.loaded() == ["0"]

    file.write_text(groups((servers[0], "0"), (servers[1], "1")))
    bench.rounds(2)
    assert bench.loaded() == ["0", "1"]

    file.write_text(groups((servers[1], "1")) + "  ")
    stored = bench.store.stored
    bench.rounds(1)
    assert bench.rows("source", "target") == ["admin", servers[1].url]
    now = bench.clock.now()
    stale = bench.store.query_over(
        "samples", now, now, lambda rows: f"SELECT count(*) AS n FROM {rows} WHERE value IS NULL"
    )
    assert stale["n"][0] > 20
    assert bench.store.stored > stored

    file.write_text('[{"targets": ')
    bench.rounds(1)
    (reason,) = [reason for target, reason in bench.last.down.items() if target.startswith("discovery/file")]
    assert str(file) in reason
    assert servers[1].url in bench.rows("source", "target")
    assert any(target.startswith("discovery/file") for target in bench.rows("source", "target"))
    bench.close()


def test_a_bundled_cluster_says_itself_where_its_metrics_are(tmp_path, servers):
    http = {str(number): f"http://{address(server)}" for number, server in enumerate(servers)}
    bench = Bench(tmp_path, [ClusterFinder(port=None, path="/metrics", scheme="http")], TellingAdmin(http))
    bench.rounds(3)
    assert bench.loaded() == ["0", "1"]
    bench.close()


def node(id, host):
    return BrokerNode(id=id, host=host, port=9092, rack=None)


def test_one_port_on_every_advertised_host_is_the_exporters():
    finder = ClusterFinder(port=7071, path="metrics", scheme="https")
    found = finder.find(Told(brokers=(node(1, "kafka-1"), node(2, "fd00::2"))))
    assert found == [
        Target(url="https://kafka-1:7071/metrics", broker="1"), Target(url="https://[fd00::2]:7071/metrics", broker="2")
    ]  # fmt: skip


def test_an_http_address_that_only_the_broker_reaches_is_not_taken_for_ours():
    finder = ClusterFinder(port=None, path="/metrics", scheme="http")
    told = Told(brokers=(node(1, "10.0.0.1"), node(2, "10.0.0.2")), http={"1": "http://127.0.0.1:9", "2": ""})
    with pytest.raises(CannotFind, match=r"brokers 1 .* loopback"):
        finder.find(told)
    told = Told(brokers=(node(1, "10.0.0.1"),), http={"1": "http://0.0.0.0:9644"})
    assert finder.find(told) == [Target(url="http://10.0.0.1:9644/metrics", broker="1")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.yml", "- targets: [a:1]\n  labels: {node_id: 3, __scheme__: https, __metrics_path__: /m}", ""),
        ("x.json", "{}", "the file must be a list"),
        ("x.json", "[1]", "a group"),
        ("x.json", '[{"targets": "a:1"}]', "targets must be a list"),
        ("x.json", '[{"targets": ["http://a:1/metrics"]}]', "not host:port"),
        ("x.json", '[{"targets": [], "labels": {"__scheme__": "ftp"}}]', "ftp"),
        ("x.yaml", "a: [", "x.yaml"),
        ("", "", "no such file"),
    ],
)
def test_a_file_is_taken_as_prometheus_has_it_or_refused_by_name(tmp_path, name, text, says):
    if name:
        (tmp_path / name).write_text(text)
    finder = FileFinder(str(tmp_path / (name or "none.json")))
    if not says:
        assert finder.find(Told()) == [Target(url="https://a:1/m", broker="3")]
        return
    with pytest.raises(CannotFind, match=says):
        finder.find(Told())


class ApiServer:
    """What an API server answers to a list of pods, two to a page."""

    def __init__(self):
        self.pods, self.asked, self.status = [], [], 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                outer.asked.append((url.path, self.headers["authorization"], asked.get("labelSelector")))
                start = int(asked.get("continue", "0"))
                more = {"continue": str(start + 2)} if start + 2 < len(outer.pods) else {}
                page = {"kind": "PodList", "metadata": more, "items": outer.pods[start : start + 2]}
                body = json.dumps(page).encode()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def api():
    made = ApiServer()
    yield made
    made.stop()


def pod(name, ip="10.0.0.1", phase="Running", port="metrics", **about):
    return {
        "metadata": {"name": name, "labels": {"id": f"9{name[-1]}"}, **about},
        "spec": {"containers": [{"name": "side"}, {"ports": [{"name": port, "containerPort": 9404}]}]},
        "status": {"phase": phase, "podIP": ip},
    }


def finder(api, tmp_path, **changes):
    (tmp_path / "token").write_text("t0\n")
    asked = {"port": "metrics", "broker": "ordinal", **changes}
    return KubernetesFinder(
        Pods(api=api.url, namespace="kafka", selector="app=kafka", token_file=tmp_path / "token", **asked)
    )


def test_running_pods_with_the_port_are_targets(api, tmp_path):
    api.pods = [
        pod("kafka-0"), pod("kafka-1", ip="fd00::1"), pod("kafka-2", phase="Pending"), pod("kafka-3", port="other"),
        pod("kafka-4", deletionTimestamp="2026-11-27T12:00:00Z"), pod("kafka-5", ip=""), pod("web", ip="10.0.0.9"),
    ]  # fmt: skip
    found = finder(api, tmp_path).find(Told())
    assert found == [
        Target(url="http://10.0.0.1:9404/metrics", broker="0"),
        Target(url="http://[fd00::1]:9404/metrics", broker="1"),
        Target(url="http://10.0.0.9:9404/metrics", broker=None),
    ]
    assert api.asked == [("/api/v1/namespaces/kafka/pods", "Bearer t0", "app=kafka")] * 4
    found = finder(api, tmp_path, port=7, broker="label:id").find(Told())
    assert found[0] == Target(url="http://10.0.0.1:7/metrics", broker="90")


def test_an_api_that_refuses_is_named_and_its_targets_stay(api, tmp_path):
    api.pods, clock = [pod("kafka-0")], HandClock(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
    found = Discovery([Target(url="http://fixed:1/metrics")], [finder(api, tmp_path)], clock=clock)
    assert len(found.targets(Told())) == 2
    api.status = 403
    clock.wind(EVERY_S + 1)
    found.targets(Told())
    found._under_way["kubernetes kafka"].exception(60)
    assert len(found.targets(Told())) == 2
    assert "403: give the service account a role" in found.reasons["kubernetes kafka"]
    api.status, api.pods = 200, []
    clock.wind(EVERY_S + 1)
    found.targets(Told())
    found._under_way["kubernetes kafka"].result(60)
    assert [target.url for target in found.targets(Told())] == ["http://fixed:1/metrics"]
    assert not found.reasons
    found.close()


def test_more_targets_than_can_be_scraped_are_said(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps([{"targets": [f"h:{port}" for port in range(1, 602)]}]))
    found = Discovery([Target(url="http://fixed:1/metrics")], [FileFinder(str(tmp_path / "x.json"))], clock=HandClock(
        datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
    ))  # fmt: skip
    targets = found.targets(Told())
    assert (len(targets), targets[0].url) == (500, "http://fixed:1/metrics")
    assert found.reasons["all"] == "602 targets were found, 500 are scraped"
    found.close()
