"""Moves that copy data are throttled, and no throttle outlives its copy, whatever happens to the plan or the agent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.act import ActSettings, Executor
from agent.collect.errors import ClusterUnreachable
from agent.collect.shapes import ConfigEntry
from agent.model.clock import HandClock
from agent.plan import PlanSettings, propose
from agent.store.state import State
from tests.agent.act.hot import HOT, WARD, approved, recorded
from tests.agent.act.recording import Crash, Fuse, FusedState
from tests.agent.plan.clusters import NOW, cluster

RATE = 8 << 20
FOUR = {0: [4, 3, 2, 1, 1, 1], 1: [1, 1], 2: [1, 1], 3: [1, 1]}
BOUNDS = PlanSettings(throttle_bytes_per_s=RATE, max_moves=3)


@pytest.fixture
def picture():
    """Apache Kafka; each partition is on its leader and one broker more, so that moves copy."""
    state = cluster(FOUR, kind="kafka")
    return replace(state, partitions=tuple(replace(p, replicas=p.replicas[:2]) for p in state.partitions))


@pytest.fixture
def plan(picture):
    return propose([HOT], picture, None, NOW, BOUNDS)


def admin_of(picture, **options):
    admin = recorded(picture, **options)
    admin.brokers = list(FOUR)
    return admin


def copied(plan):
    return [step for step in plan.steps if "throttle_bytes_per_s" in step.params]


def test_a_plan_says_what_it_copies_how_fast_and_how_long(plan):
    steps = copied(plan)
    assert steps
    assert {side["throttle_bytes_per_s"] for step in steps for side in (step.params, step.undo)} == {RATE}
    text = steps[0].effort
    assert "1.0 GiB to broker" in text and "at most 8.0 MiB/s" in text and "about " in text
    assert "GiB in all" in plan.risk and "at most 8.0 MiB/s at any broker" in plan.risk and "about " in plan.risk
    assert any(f"--execute --throttle {RATE}" in command for command in steps[0].commands)


def test_what_is_written_faster_than_a_copy_may_go_is_not_moved(picture):
    refused = propose([HOT], picture, None, NOW, PlanSettings(throttle_bytes_per_s=1 << 20))
    assert "raise [act] throttle" in refused.reason


def test_each_copy_is_throttled_and_nothing_is_left_forth_and_back(keeper, clock, picture, plan):
    admin = admin_of(picture)
    executor = approved(admin, keeper, clock, plan)
    assert executor.execute(plan, dry_run=False).state == "verifying"
    assert sum(admin.throttled) == len(copied(plan)) and not admin.throttles
    assert executor.rollback(plan, "ann").state == "rolled_back"
    assert sum(admin.throttled) == 2 * len(copied(plan)) and not admin.throttles
    assert admin.replicas == {p.id: p.replicas for p in picture.partitions}


def test_a_copy_that_stands_still_is_cancelled_and_its_throttle_taken_away(keeper, clock, picture, plan):
    admin = admin_of(picture, polls_to_finish=None)
    admin.replica_sizes = lambda partition, brokers: dict.fromkeys(brokers, 1 << 20)
    executor = approved(admin, keeper, clock, plan, ActSettings(stall_timeout_s=90))
    failed = executor.execute(plan, dry_run=False)
    assert failed.state == "failed" and "nothing was copied for 90 s" in failed.outcome
    assert "it was cancelled" in failed.outcome and not admin.moving and not admin.throttles
    admin.polls_to_finish = 1
    assert executor.rollback(plan, "ann").state == "rolled_back"


def test_a_broker_that_is_away_is_named_while_the_copy_waits_for_it(keeper, clock, picture, plan):
    admin = admin_of(picture, polls_to_finish=200)
    executor = approved(admin, keeper, clock, plan)
    first = copied(plan)[0]
    added = next(b for b in first.params["replicas"] if b not in first.pre_image["replicas"])
    original, said = admin.replica_sizes, []

    def looked(partition, brokers):
        if partition == (first.params["topic"], first.params["partition"]):
            admin.brokers = [id for id in FOUR if id != added]
        said.append(executor.journal.plan(plan.id).outcome)
        return original(partition, brokers)

    admin.replica_sizes = looked
    assert executor.execute(plan, dry_run=False).state == "failed"
    assert any(f"broker {added} does not answer, and is waited for" in outcome for outcome in said)


def test_a_cluster_that_does_not_answer_for_a_moment_fails_no_step(keeper, clock, picture, plan):
    admin = admin_of(picture, polls_to_finish=30)
    original, asked = admin.topology, []

    def sometimes():
        asked.append(None)
        if len(asked) % 3 == 0:
            raise ClusterUnreachable("no answer")
        return original()

    executor = approved(admin, keeper, clock, plan)
    executor.execute(plan, dry_run=True)
    admin.topology = sometimes
    done = executor.execute(plan, dry_run=False)
    assert done.state == "verifying", done.outcome
    assert not admin.throttles


def test_what_others_throttled_is_left_as_it_is(keeper, clock, picture, plan):
    admin = admin_of(picture)
    name = "leader.replication.throttled"
    admin.broker_settings = {0: {f"{name}.rate": "77"}}
    theirs = ConfigEntry(value="9:9", source="DYNAMIC_TOPIC_CONFIG", read_only=False)
    admin.configs["orders"][f"{name}.replicas"] = theirs
    before = dict(admin.throttles)
    approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert admin.throttles == before


def test_at_a_broker_that_does_not_answer_the_throttle_is_owed_and_paid_later(keeper, clock, picture, plan):
    admin = admin_of(picture, polls_to_finish=2)
    executor = approved(admin, keeper, clock, plan)
    original = admin.list_reassignments

    def silenced():
        if admin.moving and admin.broker_settings:
            admin.silent = {0}
        return original()

    admin.list_reassignments = silenced
    executor.execute(plan, dry_run=False)
    assert 0 in admin.broker_settings and executor.tidy()
    admin.silent, admin.list_reassignments = set(), original
    assert not executor.tidy() and not admin.throttles


def test_killed_while_it_copies_back_the_next_one_waits_for_that_and_cancels_nothing(keeper, clock, picture, plan):
    admin = admin_of(picture, polls_to_finish=6)
    executor = approved(admin, keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    reassign = admin.reassign

    def dies(targets):
        reassign(targets)
        raise Crash

    admin.reassign = dies
    with pytest.raises(Crash):
        executor.rollback(plan, "ann")
    admin.reassign = reassign
    (back,) = Executor(admin, keeper, clock, ward=WARD).resume()
    assert back.state == "rolled_back", back.outcome
    assert not [effect for effect in admin.effects if effect[0] == "cancel"] and not admin.throttles
    assert admin.replicas == {p.id: p.replicas for p in picture.partitions}


def test_who_waits_for_a_rollback_is_not_told_of_the_failure_before_it(keeper, clock, picture, plan):
    executor = approved(admin_of(picture), keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    failed = executor.verify(plan, lambda risk, since: False)
    assert failed.state == "failed" and "still true" in failed.outcome
    asked = executor.ask_back(plan, "ann")
    assert (asked.state, asked.outcome) == ("failed", "ann asked to take it back")
    assert executor.rollback(plan, "ann").state == "rolled_back"


def test_killed_at_any_point_no_throttle_is_left_and_no_step_runs_twice(tmp_path, picture):
    plan = propose([HOT], picture, None, NOW, replace(BOUNDS, max_moves=1))
    assert copied(plan)
    counting, points = Fuse(), 1
    for at in range(10_000):
        path = tmp_path / f"{at}.sqlite"
        state, admin = State(path), admin_of(picture)
        fuse = Fuse(at) if at else counting
        approved(admin, state, HandClock(NOW), plan)
        admin.fuse = fuse
        fused = Executor(admin, FusedState(state, fuse), HandClock(NOW), ward=WARD)
        if at == 0:
            fused.execute(plan, dry_run=False)
            points = counting.passed
        else:
            with pytest.raises(Crash):
                fused.execute(plan, dry_run=False)
            admin.fuse = Fuse()
            executor = Executor(admin, state, HandClock(NOW), ward=WARD)
            begun = executor.journal.plan(plan.id).state != "approved"
            executor.resume()
            executor.tidy()
            moved = [effect for effect in admin.effects if effect[0] == "reassign"]
            assert not admin.throttles and len(moved) == begun * len(plan.steps), f"after a crash at {at}"
            assert sum(admin.throttled) == len(moved)
        state.close()
        if at == points:
            break
