"""What the tests of the executor share: a picture with one hot broker, its plan, and a cluster that records."""

from __future__ import annotations

from agent.act import Executor
from agent.model.ward import Ward
from agent.plan.state import ClusterState
from tests.agent.act.recording import RecordingCluster
from tests.agent.plan.clusters import risk

WARD = Ward(cluster="c")
HOT = risk("BAL-01", "c/broker/0")
LOADS = {0: [4, 3, 2, 1, 1, 1], 1: [1, 1], 2: [1, 1]}


def recorded(state: ClusterState, **options) -> RecordingCluster:
    return RecordingCluster({p.id: list(p.replicas) for p in state.partitions}, **options)


def approved(admin, keeper, clock, plan, settings=None) -> Executor:
    executor = Executor(admin, keeper, clock, settings, ward=WARD)
    executor.submit(plan)
    executor.approve(plan, "ann", "looks right")
    return executor
