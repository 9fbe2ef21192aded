"""The admin client against a running broker of this repository, and against nobody."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, TopicPartitionReplica

from agent.collect import snapshot
from agent.collect.admin import ClusterAdmin
from agent.collect.discovery.cluster import HTTP_CONFIG, ClusterFinder
from agent.collect.discovery.finder import Told
from agent.collect.errors import ClusterUnreachable, NotOffered
from tests.faults.brokers import SMALL

Client: Any = KafkaAdminClient


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("broker")
    arguments = ["--id", "0", "--dir", str(directory), "--cluster", "c", "--zone", "a"]
    arguments += ["--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0", *SMALL]
    broker = subprocess.Popen(
        [sys.executable, "-m", "broker.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert broker.stdout is not None
    address = str(json.loads(broker.stdout.readline())["kafka"])
    client = Client(bootstrap_servers=address)
    client.create_topics({"orders": {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    client.close()
    yield address
    broker.send_signal(signal.SIGTERM)
    broker.wait(60)
    broker.stdout.close()


@pytest.fixture
def admin(bootstrap: str) -> Iterator[ClusterAdmin]:
    admin = ClusterAdmin(bootstrap)
    yield admin
    admin.close()


def test_sees_brokers_topics_configs_groups_and_offsets(bootstrap: str, admin: ClusterAdmin) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(10):
        producer.send("orders", b"x", partition=n % 2)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id="g", client_id="reader", enable_auto_commit=False)
    consumer.assign([TopicPartition("orders", 0)])
    consumer.seek_to_beginning()
    consumer.poll(timeout_ms=3000)
    consumer.commit()
    consumer.close()
    looked = snapshot.look(admin, with_configs=True)
    assert looked.reason == ""
    assert looked.topology is not None
    assert [broker.rack for broker in looked.topology.brokers] == ["a"]
    assert looked.ranges["orders", 0].end == 5
    assert looked.committed["g"] == {("orders", 0): 5}
    assert looked.configs is not None
    assert looked.configs["topic", "orders"]["retention.ms"].value == "604800000"
    http = {str(node.id): looked.configs["broker", str(node.id)][HTTP_CONFIG].value for node in looked.topology.brokers}
    finder = ClusterFinder(port=None, path="/metrics", scheme="http")
    (target,) = finder.find(Told(brokers=looked.topology.brokers, http=http))
    assert "streampilot_broker_info" in httpx.get(target.url, timeout=30).text
    assert looked.notes == {}
    assert admin.calls["ListOffsets"] == 3


def test_a_group_of_the_new_protocol_is_no_dead_one(bootstrap: str, admin: ClusterAdmin) -> None:
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "new", "group.protocol": "consumer"})
    reader.subscribe(["orders"])
    _until(lambda: reader.poll(0.1) is not None or bool(reader.assignment()))
    seen = admin.groups([0])["new"]
    assert (seen.state, seen.protocol, seen.members) == ("Stable", "consumer", None)
    reader.close()
    _until(lambda: admin.groups([0])["new"].state == "Empty")
    assert admin.groups([0])["new"].members == ()


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that within 30 s"
        time.sleep(0.05)


def test_alters_a_topic_and_takes_it_back(admin: ClusterAdmin) -> None:
    assert admin.alter_topic_configs("orders", {"retention.ms": "1000"}) is None
    changed = admin.topic_configs(["orders"])["orders"]["retention.ms"]
    assert (changed.value, changed.source) == ("1000", "DYNAMIC_TOPIC_CONFIG")
    assert admin.alter_topic_configs("orders", {}, ["retention.ms"]) is None
    assert admin.topic_configs(["orders"])["orders"]["retention.ms"].source == "DEFAULT_CONFIG"
    assert admin.alter_topic_configs("orders", {"no.such.setting": "1"}) is not None


def test_reassigns_and_names_what_the_cluster_refuses(admin: ClusterAdmin) -> None:
    answer = admin.reassign({("orders", 0): [0], ("orders", 1): None, ("none", 0): [0]})
    assert answer["orders", 0] is None
    assert answer["orders", 1] == "NoReassignmentInProgress"
    assert answer["none", 0] == "UnknownTopicOrPartition"
    assert admin.list_reassignments() == {}


def test_an_election_that_is_not_needed_changes_nothing(admin: ClusterAdmin) -> None:
    before = admin.topology().partitions
    admin.elect_leaders([("orders", 0)])
    assert admin.topology().partitions == before


def test_says_what_the_cluster_does_not_offer(admin: ClusterAdmin) -> None:
    with pytest.raises(NotOffered, match="does not offer this"):
        moved = {TopicPartitionReplica("orders", 0, 0): "/data"}
        admin.link.call("AlterReplicaLogDirs", lambda client: client.alter_replica_log_dirs(moved))


def test_names_host_and_port_of_a_bootstrap_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ClusterUnreachable, match=f"127.0.0.1:{port} accepts connections but does not answer"):
            ClusterAdmin(f"127.0.0.1:{port}").topology()
    with pytest.raises(ClusterUnreachable, match=f"no Kafka broker at 127.0.0.1:{port}"):
        ClusterAdmin(f"127.0.0.1:{port}").topology()
    assert time.monotonic() - began < 30
