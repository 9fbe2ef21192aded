"""Plans executed, or refused: approvals, caps, the kill switch, and what the cluster answers."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from agent.act import ActSettings, Executor, NotAllowed, verify_audit
from agent.store.errors import StateError
from tests.agent.act.hot import WARD, approved, recorded


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
    executor = Executor(admin, keeper, clock, ward=WARD)
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
    executor = Executor(recorded(picture), keeper, clock, ward=WARD)
    executor.submit(plan)
    assert executor.reject(plan, "ann", "not today").state == "rejected"
    with pytest.raises(NotAllowed, match="is rejected"):
        executor.approve(plan, "bob")


def test_two_people_must_approve_where_that_is_configured(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = Executor(admin, keeper, clock, ActSettings(second_person=True), ward=WARD)
    executor.submit(plan)
    assert executor.approve(plan, "ann").state == "proposed"
    with pytest.raises(NotAllowed, match="second person"):
        executor.approve(plan, "ann")
    assert executor.approve(plan, "bob").state == "approved"
    assert executor.execute(plan, dry_run=False).state == "verifying"


def test_an_agent_that_only_reads_changes_nothing_whatever_is_asked(keeper, clock, picture, plan):
    admin = recorded(picture)
    before = approved(admin, keeper, clock, plan)
    reads = Executor(admin, keeper, clock, ActSettings(read_only=True), ward=WARD)
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
        executor = Executor(admin, keeper, clock, ward=WARD)
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
    executor = approved(admin, keeper, clock, plan, ActSettings(step_timeout_s=5, move_timeout_s=20))
    failed = executor.execute(plan, dry_run=False)
    assert failed.state == "failed" and "within 20 s" in failed.outcome and "roll it back" in failed.outcome
    admin.polls_to_finish = 1
    before = {p.id: p.replicas for p in picture.partitions}
    assert executor.rollback(plan, "ann").state == "rolled_back"
    assert admin.replicas == before and not admin.moving


def test_a_copy_that_takes_hours_is_waited_for_while_the_cluster_says_that_it_runs(keeper, clock, picture, plan):
    admin = recorded(picture, polls_to_finish=3000)
    done = approved(admin, keeper, clock, plan).execute(plan, dry_run=False)
    assert done.state == "verifying" and clock.monotonic() > 3600 * len(plan.steps)


def test_a_decision_is_answered_while_another_plan_is_being_carried_out(keeper, clock, picture, plan):
    admin = recorded(picture)
    executor = approved(admin, keeper, clock, plan, ActSettings(patience_s=0.01))
    other = executor.submit(replace(plan, id="plan-other"))
    original, said = admin.reassign, []

    def watched(targets):
        with ThreadPoolExecutor(1) as person:
            said.append(person.submit(executor.approve, other.id, "bob").exception(timeout=30))
        return original(targets)

    admin.reassign = watched
    executor.execute(plan, dry_run=False)
    assert all(isinstance(error, NotAllowed) and f"{plan.id} is being carried out" in str(error) for error in said)
    assert executor.approve(other.id, "bob").state == "approved"


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
