"""A plan is of one cluster by Kafka's own id: the same name at the same address may be another cluster tomorrow."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from agent.act import Executor, NotAllowed
from agent.collect.admin import ClusterAdmin
from agent.model.clock import SystemClock
from agent.plan import propose, propose_all
from agent.plan.state import BrokerState, ClusterState, PartitionState
from tests.agent.act.hot import HOT, WARD, approved, recorded
from tests.agent.plan.clusters import MIB, NOW, risk
from tests.ports import free_port


@pytest.fixture
def bound(picture):
    return propose([HOT], replace(picture, cluster_id="c"), None, NOW)


def test_each_of_approve_execute_and_rollback_names_both_ids(keeper, clock, picture, bound):
    admin = recorded(picture)
    executor = Executor(admin, keeper, clock, ward=WARD)
    executor.submit(bound)
    admin.cluster_id = "d"
    with pytest.raises(NotAllowed, match="with the Kafka id c, and the one that answers now has d"):
        executor.approve(bound, "ann")
    admin.cluster_id = "c"
    assert executor.approve(bound, "ann").approvals[0].cluster_id == "c"
    admin.cluster_id = "d"
    with pytest.raises(NotAllowed, match=r"id c.* has d"):
        executor.execute(bound, dry_run=False)
    assert executor.journal.plan(bound.id).state == "approved" and not admin.effects
    admin.cluster_id = "c"
    executor.execute(bound, dry_run=False)
    admin.cluster_id, called = "d", list(admin.effects)
    assert "id c" in executor.verify(bound, lambda risk, since: True).outcome
    with pytest.raises(NotAllowed, match=r"id c.* has d"):
        executor.rollback(bound, "ann")
    assert admin.effects == called
    admin.cluster_id = "c"
    assert executor.rollback(bound, "ann").state == "rolled_back"


def test_an_interrupted_plan_is_not_taken_up_on_another_cluster(keeper, clock, picture, bound):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, bound)
    executor.journal.save(replace(executor.journal.plan(bound.id), state="executing"))
    admin.cluster_id = "d"
    (plan,) = executor.resume()
    assert plan.state == "failed" and "has d" in plan.outcome and not admin.effects


def test_a_yes_that_was_given_on_another_cluster_does_not_count(keeper, clock, picture, bound):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, bound)
    plan = executor.journal.plan(bound.id)
    executor.journal.save(replace(plan, approvals=(replace(plan.approvals[0], cluster_id="d"),)))
    with pytest.raises(NotAllowed, match=r"ann approved .* on the Kafka id d, not on c"):
        executor.execute(bound, dry_run=False)
    assert not admin.effects


@contextmanager
def cluster_at(port: int, folder):
    """Two brokers, the first at the port; yields an admin that sees their topic served."""
    with broker(0, port, folder), broker(1, free_port(), folder):
        address = f"127.0.0.1:{port}"
        client = KafkaAdminClient(bootstrap_servers=address)
        client.create_topics([NewTopic("orders", replica_assignments={n: [0, 1] for n in range(4)})])
        client.close()
        admin = ClusterAdmin(address)
        try:
            while sum(p.topic == "orders" and p.leader == 0 for p in admin.topology().partitions) < 4:
                SystemClock().sleep(0.05)
            yield admin
        finally:
            admin.close()


@contextmanager
def broker(id: int, port: int, folder):
    command = ["--id", str(id), "--dir", str(folder), "--cluster", "c", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "broker.main", *command, "--listeners", f"PLAINTEXT://127.0.0.1:{port}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        process.stdout.readline()
        yield
        process.kill()


def picture_of(admin: ClusterAdmin) -> ClusterState:
    topology = admin.topology()
    return ClusterState(
        cluster="c",
        cluster_id=topology.cluster_id or "",
        kind="bundled",
        brokers=tuple(
            BrokerState(id=b.id, zone=None, up=True, cordoned=False, bytes_in_per_s=None) for b in topology.brokers
        ),
        partitions=tuple(
            PartitionState(
                topic=p.topic, partition=p.partition, leader=p.leader, replicas=p.replicas, size_bytes=None,
                bytes_in_per_s=4.0 * MIB, bytes_out_per_s=None, internal=p.topic in topology.internal,
            )
            for p in topology.partitions
        ),
    )  # fmt: skip


def test_two_real_clusters_that_look_the_same_at_one_address_are_told_apart(tmp_path, keeper):
    clock, port = SystemClock(), free_port()
    with cluster_at(port, tmp_path / "one") as admin:
        first = picture_of(admin)
        (plan,) = propose_all([risk("BAL-01", "c/broker/0")], first, None, clock.now())
    with cluster_at(port, tmp_path / "other") as admin:
        second = picture_of(admin)
        assert second.hash == first.hash and second.cluster_id != first.cluster_id
        executor = Executor(admin, keeper, clock, ward=WARD)
        executor.submit(plan)
        with pytest.raises(NotAllowed) as refused:
            executor.approve(plan, "ann")
        assert first.cluster_id in str(refused.value) and second.cluster_id in str(refused.value)
