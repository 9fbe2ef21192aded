"""Creates the demo's topics, each partition on the broker that the scenario says."""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from agent.demo.errors import ClusterFailed
from agent.demo.scenario import Scenario

TIMEOUT_S = 30.0
RETENTION_MS = 6 * 3_600_000


def create_topics(bootstrap: str, scenario: Scenario) -> None:
    """All topics of the scenario; ClusterFailed names the first that was refused."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "client.id": "demo-admin", "log_level": 2})
    wanted = [
        NewTopic(
            traffic.topic,
            num_partitions=len(traffic.streams),
            replica_assignment=[[stream.owner] for stream in traffic.streams],
            config={"retention.ms": str(RETENTION_MS)},
        )
        for traffic in scenario.traffic
    ]
    for topic, future in admin.create_topics(wanted, operation_timeout=TIMEOUT_S).items():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            raise ClusterFailed(f"topic {topic} was refused: {error}", "see the lines of the cluster") from error
