"""A plan is of one cluster by Kafka's own id: the same name at the same address may be another cluster tomorrow."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from agent.act import Executor, NotAllowed
from agent.collect.admin import ClusterAdmin
from agent.model.clock import HandClock
from agent.plan import propose
from tests.agent.act.hot import HOT, WARD, approved, recorded
from tests.agent.plan.clusters import NOW
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
def broker(port: int, folder):
    """A cluster of one broker; yields an admin of it."""
    command = ["--id", "0", "--dir", str(folder), "--cluster", "c", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "broker.main", *command, "--listeners", f"PLAINTEXT://127.0.0.1:{port}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        process.stdout.readline()
        admin = ClusterAdmin(f"127.0.0.1:{port}")
        yield admin
        admin.close()
        process.kill()


def test_two_real_clusters_at_one_address_are_told_apart(tmp_path, keeper, picture):
    clock, port = HandClock(NOW), free_port()
    with broker(port, tmp_path / "one") as admin:
        first = admin.topology().cluster_id
        plan = propose([HOT], replace(picture, cluster_id=first), None, NOW)
        executor = Executor(admin, keeper, clock, ward=WARD)
        executor.submit(replace(plan, id="plan-there"))
        assert executor.approve("plan-there", "ann").approvals[0].cluster_id == first
    with broker(port, tmp_path / "other") as admin:
        second = admin.topology().cluster_id
        executor = Executor(admin, keeper, clock, ward=WARD)
        executor.submit(plan)
        for refuse in (lambda: executor.approve(plan, "ann"), lambda: executor.execute("plan-there", dry_run=False)):
            with pytest.raises(NotAllowed) as refused:
                refuse()
            assert first in str(refused.value) and second in str(refused.value)
