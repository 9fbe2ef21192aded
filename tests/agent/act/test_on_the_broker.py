"""The executor on real brokers, through Kafka's own admin API: a plan runs, and is taken back exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from agent.act import Executor
from agent.collect.admin import ClusterAdmin
from agent.model.clock import SystemClock
from agent.model.ward import Ward
from agent.plan import propose_all
from agent.plan.state import BrokerState, ClusterState, PartitionState
from agent.store.state import State
from tests.agent.plan.clusters import MIB, risk
from tests.faults.brokers import SMALL

WARD = Ward(cluster="c")


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory):
    """Two brokers on one directory; ended by their own handles."""
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        brokers = []
        for id in (0, 1):
            args = [
                "--id",
                str(id),
                "--dir",
                str(folder),
                "--cluster",
                "c",
                "--zone",
                f"z{id}",
                "--http",
                "127.0.0.1:0",
                *SMALL,
            ]
            broker = subprocess.Popen(
                [sys.executable, "-m", "broker.main", *args, "--listeners", "PLAINTEXT://127.0.0.1:0"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.callback(broker.wait, 10)
            stack.callback(broker.terminate)
            stack.callback(broker.stdout.close)
            brokers.append(json.loads(broker.stdout.readline()))
        client = KafkaAdminClient(bootstrap_servers=brokers[0]["kafka"])
        client.create_topics([NewTopic("orders", num_partitions=4, replication_factor=2)])
        client.close()
        yield brokers[0]["kafka"]


@pytest.fixture
def admin(bootstrap):
    opened = ClusterAdmin(bootstrap)
    for _ in range(40):
        if sum(p.topic == "orders" and p.leader >= 0 for p in opened.topology().partitions) == 4:
            break
        SystemClock().sleep(0.1)
    yield opened
    opened.close()


@pytest.fixture
def keeper(tmp_path):
    opened = State(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def picture(admin: ClusterAdmin) -> ClusterState:
    """The cluster as it is, with loads that make broker 0 the busy one."""
    topology = admin.topology()
    brokers = tuple(
        BrokerState(id=b.id, zone=b.rack, up=True, cordoned=False, bytes_in_per_s=None) for b in topology.brokers
    )
    partitions = tuple(
        PartitionState(
            topic=p.topic,
            partition=p.partition,
            leader=p.leader,
            replicas=p.replicas,
            bytes_in_per_s=(4.0 if p.leader == 0 else 0.5) * MIB,
            bytes_out_per_s=None,
            size_bytes=None,
            internal=p.topic in topology.internal,
        )
        for p in topology.partitions
    )
    state = ClusterState(cluster="c", kind="bundled", brokers=brokers, partitions=partitions)
    quiet = tuple(replace(p, bytes_in_per_s=0.0) if p.internal else p for p in partitions)
    return replace(state, partitions=quiet)


def assignment(admin: ClusterAdmin):
    return {(p.topic, p.partition): (p.leader, p.replicas) for p in admin.topology().partitions}


def test_a_move_runs_and_is_taken_back_to_the_exact_assignment(admin, keeper):
    clock = SystemClock()
    before = assignment(admin)
    (plan,) = propose_all([risk("BAL-01", "c/broker/0")], picture(admin), None, clock.now())
    executor = Executor(admin, keeper, clock, ward=WARD)
    executor.submit(plan)
    executor.approve(plan, "ann")
    done = executor.execute(plan, dry_run=False)
    assert done.state == "verifying", done.outcome
    after = assignment(admin)
    for step in done.steps:
        key = (step.params["topic"], step.params["partition"])
        assert after[key] == (step.params["replicas"][0], tuple(step.params["replicas"])) and after[key] != before[key]
    assert executor.verify(plan, lambda id, since: True).state == "verified"
    assert executor.rollback(plan, "ann").state == "rolled_back"
    assert assignment(admin) == before


def test_retention_is_raised_and_the_override_taken_away_again(admin, keeper):
    clock = SystemClock()
    configs = admin.topic_configs(["orders"])["orders"]
    state = replace(picture(admin), topic_configs={"orders": {n: (e.value, e.source) for n, e in configs.items()}})
    (plan,) = propose_all([risk("LAG-08", "c/group/g", topic="orders")], state, None, clock.now())
    executor = Executor(admin, keeper, clock, ward=WARD)
    executor.submit(plan)
    executor.approve(plan, "ann")
    done = executor.execute(plan, dry_run=False)
    assert done.state == "verifying", done.outcome
    assert admin.topic_configs(["orders"])["orders"]["retention.ms"].value == plan.steps[0].params["value"]
    assert executor.rollback(plan, "ann").state == "rolled_back"
    assert admin.topic_configs(["orders"])["orders"]["retention.ms"] == configs["retention.ms"]
