"""Plans executed, interrupted, resumed, verified and taken back."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.act import ActSettings, Executor, NotAllowed, verify_audit
from agent.model.clock import HandClock
from agent.model.plan import Outlook
from agent.plan import PlanSettings, propose
from agent.plan.state import ClusterState
from agent.store.errors import StateError
from agent.store.state import State
from tests.agent.act.recording import Crash, Fuse, FusedState, RecordingCluster
from tests.agent.plan.clusters import NOW, cluster, risk

HOT = risk("BAL-01", "c/broker/0")
LOADS = {0: [4, 3, 2, 1, 1, 1], 1: [1, 1], 2: [1, 1]}
WEEK = {"orders": {"retention.ms": ("1000", "DEFAULT_CONFIG")}}


def recorded(state: ClusterState, **options) -> RecordingCluster:
    return RecordingCluster({p.id: list(p.replicas) for p in state.partitions}, **options)


@pytest.fixture
def keeper(tmp_path):
    state = State(tmp_path / "state.sqlite")
    yield state
    state.close()


@pytest.fixture
def clock():
    return HandClock(NOW)


@pytest.fixture
def picture():
    return cluster(LOADS)


@pytest.fixture
def plan(picture):
    return propose([HOT], picture, None, NOW)


def approved(admin, keeper, clock, plan, settings=None) -> Executor:
    executor = Executor(admin, keeper, clock, settings)
    executor.submit(plan)
    executor.approve(plan, "ann", "looks right")
    return executor


def test_runs_every_step_and_waits_for_the_verification(keeper, clock, picture, plan):
    admin = recorded(picture)
    done = approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert done.state == "verifying" and {step.state for step in done.steps} == {"done"}
    for step in plan.steps:
        key = (step.params["topic"], step.params["partition"])
        assert list(admin.replicas[key]) == step.params["replicas"]
    assert [effect[0] for effect in admin.effects] == ["reassign"] * len(plan.steps)


def test_a_dry_run_is_the_default_and_touches_nothing(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan)
    said = executor.execute(plan)
    assert f"{len(plan.steps)} steps would be taken" in said.outcome and admin.effects == []
    assert executor.journal.plan(plan.id).state == "approved"


def test_nothing_runs_without_an_approval(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = Executor(admin, keeper, clock)
    executor.submit(plan)
    with pytest.raises(NotAllowed, match="not approved"):
        executor.execute(plan, dry_run=False)
    assert admin.effects == []


def test_an_approval_expires(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan)
    clock.wind(901)
    with pytest.raises(NotAllowed, match="expired"):
        executor.execute(plan, dry_run=False)
    assert [p.state for p in executor.expire()] == ["expired"] and admin.effects == []


def test_a_rejected_plan_stays_rejected(keeper, clock, picture, plan):
    executor = Executor(recorded(picture), keeper, clock)
    executor.submit(plan)
    assert executor.reject(plan, "ann", "not today").state == "rejected"
    with pytest.raises(NotAllowed, match="is rejected"):
        executor.approve(plan, "bob")


def test_two_people_must_approve_where_that_is_configured(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = Executor(admin, keeper, clock, ActSettings(second_person=True))
    executor.submit(plan)
    assert executor.approve(plan, "ann").state == "proposed"
    with pytest.raises(NotAllowed, match="second person"):
        executor.approve(plan, "ann")
    assert executor.approve(plan, "bob").state == "approved"
    assert executor.execute(plan, dry_run=False).state == "verifying"


def test_an_agent_that_only_reads_changes_nothing_whatever_is_asked(keeper, clock, picture, plan):
    admin = recorded(picture)
    before = approved(admin, keeper, clock, plan)
    reads = Executor(admin, keeper, clock, ActSettings(read_only=True))
    with pytest.raises(NotAllowed, match="only reads"):
        reads.execute(plan, dry_run=False)
    with pytest.raises(NotAllowed, match="only reads"):
        reads.approve(plan, "bob")
    before.execute(plan, dry_run=False)
    effects = list(admin.effects)
    with pytest.raises(NotAllowed, match="only reads"):
        reads.rollback(plan, "ann")
    assert reads.resume() == []
    assert admin.effects == effects


def test_refuses_when_the_cluster_is_not_as_it_was(keeper, clock, picture, plan):
    for change in ("move", "broker"):
        admin = recorded(picture)
        if change == "move":
            admin.replicas[("orders", 9)] = (1, 0, 2)
            admin.leaders[("orders", 9)] = 1
        else:
            admin.brokers.remove(2)
        executor = Executor(admin, keeper, clock)
        executor.submit(plan)
        if executor.journal.plan(plan.id).state == "proposed":
            executor.approve(plan, "ann")
        with pytest.raises(NotAllowed, match="changed since"):
            executor.execute(plan, dry_run=False)
        assert admin.effects == []


def test_stops_between_steps_when_someone_else_moves_a_partition(keeper, clock, picture, plan):
    admin = recorded(picture)
    original = admin.reassign

    def meddled(targets):
        answer = original(targets)
        admin.replicas[("orders", 9)], admin.leaders[("orders", 9)] = (1, 0, 2), 1
        return answer

    admin.reassign = meddled
    failed = approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert failed.state == "failed" and "changed since the plan was made" in failed.outcome
    assert [step.state for step in failed.steps][:2] == ["done", "failed"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ActSettings(max_moves=1), "the cap is 1"),
        (ActSettings(allow=frozenset({"AlterTopic"})), "not in the list of allowed actions"),
        (ActSettings(max_plans_per_hour=0), "within the hour"),
    ],
)
def test_the_caps_hold(keeper, clock, picture, plan, settings, said):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan, settings)
    with pytest.raises(NotAllowed, match=said):
        executor.execute(plan, dry_run=False)
    assert admin.effects == []


def test_an_unknown_action_is_never_executed(keeper, clock, picture, plan):
    odd = replace(plan, id="plan-odd", steps=(replace(plan.steps[0], action="DelTopic", step_class="destructive"),))
    executor = approved(recorded(picture), keeper, clock, odd, ActSettings(allow=frozenset({"DelTopic"})))
    with pytest.raises(NotAllowed, match="DelTopic is not an action"):
        executor.execute(odd, dry_run=False)


def test_the_kill_switch_stops_everything(keeper, clock, picture, plan, tmp_path):
    stop = tmp_path / "stop-actions"
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan, ActSettings(stop_file=stop))
    stop.touch()
    with pytest.raises(NotAllowed, match="stop-actions"):
        executor.execute(plan, dry_run=False)
    assert admin.effects == []
    stop.unlink()
    executor.execute(plan, dry_run=False)
    stop.touch()
    with pytest.raises(NotAllowed, match="stop-actions"):
        executor.rollback(plan, "ann")


def test_no_action_starts_when_the_journal_cannot_be_written(keeper, clock, picture, plan, tmp_path):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan)
    keeper._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError):
        executor.execute(plan, dry_run=False)
    assert admin.effects == []


def test_a_journal_entry_is_there_before_each_call(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan)
    original, seen = admin.reassign, []

    def watched(targets):
        seen.append(len([entry for entry in executor.journal.entries(plan.id) if "call" in entry]))
        return original(targets)

    admin.reassign = watched
    executor.execute(plan, dry_run=False)
    assert seen == list(range(1, len(plan.steps) + 1))


def test_a_step_that_never_ends_fails_and_a_rollback_is_offered(keeper, clock, picture, plan):
    admin = recorded(picture, polls_to_finish=None)
    executor = approved(admin, keeper, clock, plan, ActSettings(step_timeout_s=5))
    failed = executor.execute(plan, dry_run=False)
    assert failed.state == "failed" and "within 5 s" in failed.outcome and "roll it back" in failed.outcome
    admin.polls_to_finish = 1
    before = {p.id: p.replicas for p in picture.partitions}
    assert executor.rollback(plan, "ann").state == "rolled_back"
    assert admin.replicas == before and not admin.moving


def test_a_refusal_of_the_cluster_fails_at_once(keeper, clock, picture, plan):
    admin = recorded(picture)
    admin.refuse = "ClusterAuthorizationFailed"
    failed = approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert failed.state == "failed" and "ClusterAuthorizationFailed" in failed.outcome and clock.monotonic() == 0


def test_a_call_whose_answer_is_lost_is_not_made_again(keeper, clock, picture, plan):
    admin = recorded(picture)
    admin.lose_answers = True
    done = approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert done.state == "verifying" and len(admin.effects) == len(plan.steps)


def test_apache_kafka_gets_its_preferred_leaders_elected(keeper, clock, picture, plan):
    admin = recorded(picture)
    admin.sticky_leaders = True
    done = approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert done.state == "verifying"
    assert all(admin.leaders[key] == replicas[0] for key, replicas in admin.replicas.items())
    assert sum(effect[0] == "elect" for effect in admin.effects) == len(plan.steps)


def crash_points(tmp_path, plan, picture, run) -> int:
    """How often an uninterrupted run passes the fuse."""
    fuse = Fuse()
    admin = recorded(picture)
    state = State(tmp_path / "count.sqlite")
    executor = approved(admin, state, HandClock(NOW), plan)
    admin.fuse = fuse
    run(Executor(admin, FusedState(state, fuse), HandClock(NOW)), executor)
    state.close()
    return fuse.passed


def test_killed_at_any_point_it_resumes_and_no_step_runs_twice(tmp_path, picture):
    plan = propose([HOT], picture, None, NOW, PlanSettings(max_moves=3))
    points = crash_points(tmp_path, plan, picture, lambda fused, _: fused.execute(plan, dry_run=False))
    assert points > 10
    for at in range(1, points + 1):
        path = tmp_path / f"{at}.sqlite"
        state, admin, fuse = State(path), recorded(picture), Fuse(at)
        approved(admin, state, HandClock(NOW), plan)
        admin.fuse = fuse
        with pytest.raises(Crash):
            Executor(admin, FusedState(state, fuse), HandClock(NOW)).execute(plan, dry_run=False)
        state.close()
        admin.fuse = Fuse()
        state = State(path)
        executor = Executor(admin, state, HandClock(NOW + timedelta(days=2)))
        started = executor.journal.plan(plan.id).state != "approved"
        executor.resume()
        reassigned = [effect[1] for effect in admin.effects]
        assert len(reassigned) == len(set(reassigned)), f"a step ran twice after a crash at {at}"
        announced = {entry["step"] for entry in executor.journal.entries(plan.id)}
        assert len(reassigned) <= len(announced)
        if started:
            assert executor.journal.plan(plan.id).state == "verifying"
            assert len(reassigned) == len(plan.steps) == len(announced)
        assert state.verify_audit() is None
        state.close()


def test_killed_at_any_point_of_a_rollback_it_resumes_to_the_exact_assignment(tmp_path, picture):
    plan = propose([HOT], picture, None, NOW, PlanSettings(max_moves=2))
    before = {p.id: p.replicas for p in picture.partitions}

    def run(fused, plain) -> None:
        plain.execute(plan, dry_run=False)
        fused.rollback(plan, "ann")

    points = crash_points(tmp_path, plan, picture, run)
    for at in range(1, points + 1):
        path = tmp_path / f"back{at}.sqlite"
        state, admin, fuse = State(path), recorded(picture), Fuse(None)
        approved(admin, state, HandClock(NOW), plan).execute(plan, dry_run=False)
        admin.fuse = fuse
        fuse.at = at
        try:
            Executor(admin, FusedState(state, fuse), HandClock(NOW)).rollback(plan, "ann")
        except Crash:
            state.close()
            admin.fuse = Fuse()
            state = State(path)
            executor = Executor(admin, state, HandClock(NOW))
            executor.resume()
            marked = executor.journal.marked(plan.id, "rollback")
            if marked is None:
                assert executor.journal.plan(plan.id).state == "verifying"
            else:
                assert admin.replicas == before, f"after a crash at {at}"
                assert executor.journal.plan(plan.id).state == "rolled_back"
        state.close()


def test_a_rollback_restores_the_exact_assignment(keeper, clock, picture, plan):
    admin = recorded(picture)
    before = {p.id: p.replicas for p in picture.partitions}
    executor = approved(admin, keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    back = executor.rollback(plan, "ann", "second thoughts")
    assert back.state == "rolled_back" and {step.state for step in back.steps} == {"undone"}
    assert admin.replicas == before and admin.leaders == {key: value[0] for key, value in before.items()}


def test_a_rollback_leaves_alone_what_someone_else_changed_and_says_so(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    step = plan.steps[0]
    key = (step.params["topic"], step.params["partition"])
    admin.replicas[key] = (2, 1, 0) if step.params["replicas"] != [2, 1, 0] else (1, 2, 0)
    back = executor.rollback(plan, "ann")
    assert back.state == "failed" and "someone else has changed" in back.outcome


def test_a_configuration_change_runs_and_is_taken_back_to_no_override(keeper, clock):
    picture = cluster(LOADS, configs=WEEK)
    plan = propose([risk("LAG-08", "c/group/g", topic="orders")], picture, None, NOW)
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan)
    assert executor.execute(plan, dry_run=False).state == "verifying"
    assert admin.configs["orders"]["retention.ms"].value == plan.steps[0].params["value"]
    assert executor.rollback(plan, "ann").state == "rolled_back"
    assert admin.configs["orders"]["retention.ms"].source == "DEFAULT_CONFIG"


def test_verified_on_fresh_samples_with_what_was_measured(keeper, clock, picture, plan):
    executor = approved(recorded(picture), keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    answers = iter([None, False, True])
    asked = []
    measured = Outlook(broker_bytes_per_s={"0": 1.0}, busiest_over_mean=1.0, usd_per_month=None, assignment={})

    def confirm(risk_id, since):
        asked.append((risk_id, since))
        return next(answers)

    verified = executor.verify(plan, confirm, measure=lambda: measured)
    assert verified.state == "verified" and verified.measured == measured
    assert {id for id, _ in asked} == {HOT.id} and asked[0][1] >= NOW


def test_a_failed_verification_says_so_and_offers_the_rollback(keeper, clock, picture, plan):
    executor = approved(recorded(picture), keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    failed = executor.verify(plan, lambda risk_id, since: False)
    assert failed.state == "failed" and "still true" in failed.outcome and "roll it back" in failed.outcome


def test_too_few_samples_are_no_proof(keeper, clock, picture, plan):
    executor = approved(recorded(picture), keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    failed = executor.verify(plan, lambda risk_id, since: None)
    assert failed.state == "failed" and "not enough fresh samples" in failed.outcome


def test_a_new_grave_risk_fails_the_verification_and_is_taken_back_where_configured(keeper, clock, picture, plan):
    admin = recorded(picture)
    before = {p.id: p.replicas for p in picture.partitions}
    executor = approved(admin, keeper, clock, plan, ActSettings(auto_rollback=True))
    executor.execute(plan, dry_run=False, alarms=["old"])
    back = executor.verify(plan, lambda risk_id, since: True, alarms=lambda: ["old", "AVL-02@c/broker/1"])
    assert back.state == "rolled_back" and admin.replicas == before


def test_the_audit_names_who_and_why_and_a_flipped_byte_is_found(keeper, clock, picture, plan):
    executor = approved(recorded(picture), keeper, clock, plan)
    executor.execute(plan, dry_run=False)
    assert verify_audit(keeper) is None
    what = [entry["what"] for entry in reversed(keeper.audit())]
    assert what == ["proposed", "approved", "executing", "verifying"]
    assert next(entry for entry in keeper.audit() if entry["what"] == "approved")["by"] == "ann"
    with sqlite3.connect(keeper.path) as other:
        other.execute("UPDATE audit SET body = replace(body, 'ann', 'eve') WHERE seq = 2")
    assert "entry 2" in verify_audit(keeper)
