"""Real exposition, recorded: what the views say of it, its traps, and which rules can speak on it."""

import re
from collections import Counter

import pytest

from agent.collect.mapping import resolve
from rules.engine import Workspace
from tests import support_matrix
from tests.interop import recording

JMX = [name for name in support_matrix.sources() if name.startswith("jmx-")]
LABEL = re.compile(r'(\w+)="([^"]*)"')
LEADS_MOST = "1"
"""Broker 1 leads six of the eight partitions of `orders` in every recording."""


@pytest.fixture(scope="module", params=JMX)
def kafka(request):
    with support_matrix.replayed(request.param) as (source, at), Workspace(source, at) as workspace:
        yield request.param, workspace


def test_throughput_is_of_each_broker_and_nothing_counts_twice(kafka) -> None:
    _, workspace = kafka
    written = {row["broker"]: row["bytes_in_per_s"] for row in workspace.rows("broker_load", 60.0)}
    assert written.keys() == {"1", "2", "3"}
    assert written[LEADS_MOST] > 2 * max(written["2"], written["3"])
    of_topics = sum(row["bytes_in_per_s"] or 0 for row in workspace.rows("partition_load", 60.0))
    assert of_topics == pytest.approx(sum(written.values()), rel=0.1)  # an exporter's body takes a while to write


def test_bytes_of_partitions_say_that_they_are_estimated(kafka) -> None:
    _, workspace = kafka
    assert {row["basis"] for row in workspace.rows("partition_load", 60.0)} == {"estimated"}


def test_a_share_of_idle_time_is_never_over_one(kafka) -> None:
    _, workspace = kafka
    shares = [row["idle_share"] for row in workspace.rows("broker_load", 60.0)]
    assert all(share is None or 0 <= share <= 1 for share in shares)


def test_connections_have_a_usable_name_in_strimzi_s_file_alone(kafka) -> None:
    name, workspace = kafka
    known = {row["connections"] is not None for row in workspace.rows("broker_load", 60.0)}
    assert known == {name == "jmx-strimzi"}


def test_a_fetch_counts_once(kafka) -> None:
    _, workspace = kafka
    counted = {row["api"] for row in workspace.rows("request_stats", 60.0) if row["requests_per_s"] is not None}
    assert "Fetch" in counted
    assert not counted & {"FetchConsumer", "FetchFollower"}


def test_the_stopped_group_is_behind_by_seconds_and_by_a_share_of_retention(kafka) -> None:
    _, workspace = kafka
    lag = [row for row in workspace.rows("group_lag", 60.0) if row["group_id"] == "checkout"]
    assert max(row["lag_s"] for row in lag) > 10
    assert all(0 < row["retention_share"] < 1 for row in lag if row["lag_records"])


def test_strimzi_s_file_names_connections_by_listener_and_totals_without_a_topic() -> None:
    body = recording.bodies("jmx-strimzi")[3][0]
    found: Counter[str] = Counter()
    for line in body.splitlines():
        name, _, labels = line.rpartition(" ")[0].partition("{")
        meaning = resolve(name, dict(LABEL.findall(labels)))
        found[meaning.measure if meaning else ""] += 1
    assert found["connections"] == 12
    wanted = {"broker_bytes_in", "broker_bytes_out", "idle_share", "cpu_seconds", "rss_bytes", "started_at"}
    assert {measure: found[measure] for measure in wanted} == dict.fromkeys(wanted, 1)
    assert found["requests"] == sum(
        line.startswith("kafka_network_requestmetrics_requests_total{")
        and not re.search("FetchFollower|FetchConsumer", line)
        for line in body.splitlines()
    )


def test_listeners_and_acls_are_in_the_security_view(kafka) -> None:
    _, workspace = kafka
    found = {(row["check"], row["value"]) for row in workspace.rows("security", 60.0)}
    assert {("protocol", "SASL_SSL"), ("protocol", "PLAINTEXT"), ("authorizer", "StandardAuthorizer")} <= found


@pytest.mark.timeout(400)
def test_the_support_matrix_is_what_the_recordings_say() -> None:
    assert support_matrix.PAGE.read_text() == support_matrix.page(), "run `make docs` and commit it"
