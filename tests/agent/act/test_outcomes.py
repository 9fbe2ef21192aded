"""Executed plans that are verified on fresh samples, or taken back."""

from __future__ import annotations

from agent.act import ActSettings
from agent.model.plan import Outlook
from agent.plan import propose
from tests.agent.act.hot import HOT, LOADS, approved, recorded
from tests.agent.plan.clusters import NOW, cluster, risk

WEEK = {"orders": {"retention.ms": ("1000", "DEFAULT_CONFIG")}}


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
