"""The verdict: findings equal plants both ways, the plan verified, nothing lost, the hot key's partition left alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.demo.ledger import Records
from agent.demo.plant import draw
from agent.demo.report import Outcome, failures, moves, to_document
from agent.demo.scenario import PLANTS, Node, Truth
from agent.demo.tables import render
from agent.model.finding import Finding, Risk
from agent.model.plan import Approval, Outlook, Plan, Step

AT = datetime(2026, 11, 22, 16, 3, tzinfo=UTC)
NODES = tuple(Node(id=number, zone=f"zone-{'abc'[number]}") for number in range(3))
SCENARIO = draw(seed=1, plants=PLANTS, nodes=NODES, cluster="demo")
CLEAN = Records(produced=10, consumed=10, lost=0, duplicated=0, out_of_order=0)
EVEN = {"0": 2.0e6, "1": 2.1e6, "2": 1.9e6}


def risk(rule: str, resource: str, usd_per_month: float | None = None) -> Risk:
    finding = Finding(
        id="f",
        rule=rule,
        resource=resource,
        at=AT,
        observed=2.0,
        limit=1.25,
        unit="ratio",
        score=1.6,
        confidence=1.0,
        usd_per_month=usd_per_month,
        money_basis="price book 2026-11-01",
        params={},
        evidence=(),
    )
    return Risk(
        id="r",
        rule=rule,
        title="A title",
        resource=resource,
        level="P1",
        state="open",
        first_seen=AT,
        last_seen=AT,
        count=3,
        caused_by=None,
        action="MovePartitions",
        snapshot=finding,
        latest=finding,
        explanation="Words.",
    )


def plan(state: str = "verified", name: str = "orders-1", step_class: str = "reversible") -> Plan:
    def outlook(owner: int, skew: float) -> Outlook:
        return Outlook(broker_bytes_per_s=EVEN, busiest_over_mean=skew, usd_per_month=None, assignment={name: [owner]})

    step = Step(
        n=1,
        action="MovePartitions",
        target="demo/topic/orders/1",
        params={"replicas": [1]},
        pre_image={"replicas": [0]},
        undo={"replicas": [0]},
        step_class=step_class,
        state="done",
        success_test="broker 1 leads it",
        commands=(),
    )
    return Plan(
        id="plan-1",
        cluster="demo",
        title="Spread the load",
        risks=("r",),
        state=state,
        state_hash="h",
        created_at=AT,
        expires_at=AT + timedelta(hours=1),
        before=outlook(0, 1.9),
        after=outlook(1, 1.02),
        measured=outlook(1, 1.03),
        usd_per_month=None,
        risk="none",
        steps=(step,),
        approvals=(Approval(by="demo", at=AT, note=""),),
        outcome="verified on fresh samples",
    )


def outcome(**changes: object) -> Outcome:
    return replace(
        Outcome(
            scenario=SCENARIO,
            time_scale=4.0,
            seconds=123.4,
            attended=False,
            risks=tuple(risk(truth.rule, truth.resource, 12.5) for truth in SCENARIO.truths),
            plans=(plan(),),
            refusals=(),
            load_before={"0": 1e6, "1": 4e6, "2": 1e6},
            load_after=EVEN,
            records=CLEAN,
        ),
        **changes,
    )


def test_a_run_in_which_everything_held_has_no_failures() -> None:
    assert failures(outcome()) == []
    assert "everything held" in render(outcome())


def test_a_plant_that_was_not_found_fails_by_name() -> None:
    truth: Truth = SCENARIO.truths[0]
    found = outcome(risks=outcome().risks[1:])
    assert failures(found) == [f"planted but not found: {truth.rule} {truth.resource}"]
    assert "NOT FOUND" in render(found)


def test_a_finding_that_was_not_planted_fails_by_name() -> None:
    found = outcome(risks=(*outcome().risks, risk("TOP-01", "demo/topic/orders")))
    assert failures(found) == ["found but not planted: TOP-01 demo/topic/orders"]
    assert "NOT PLANTED" in render(found)


def test_the_right_rule_on_the_wrong_resource_fails_both_ways() -> None:
    first, *others = outcome().risks
    assert len(failures(outcome(risks=(replace(first, resource="demo/broker/9"), *others)))) == 2


def test_a_plan_that_moves_the_hot_keys_partition_fails() -> None:
    ((topic, partition),) = SCENARIO.pinned
    found = failures(outcome(plans=(plan(name=f"{topic}-{partition}"),)))
    assert found == [f"a plan moves {topic}-{partition}, whose load is one key"]


def test_a_plan_that_was_not_verified_fails() -> None:
    assert failures(outcome(plans=(plan(state="failed"),))) == ["plan-1 is failed: verified on fresh samples"]


def test_a_hot_broker_without_a_plan_fails() -> None:
    assert failures(outcome(plans=())) == ["no plan was made for the hot broker"]


def test_a_broker_still_hot_by_its_own_counters_fails_whatever_the_agent_says() -> None:
    assert "1.50 of the mean" in failures(outcome(load_after={"0": 3e6, "1": 2e6, "2": 1e6}))[0]


def test_lost_and_duplicated_records_fail() -> None:
    found = failures(outcome(records=replace(CLEAN, lost=2, duplicated=1)))
    assert found == ["2 records lost", "1 records duplicated"]


def test_with_a_person_at_the_screen_only_the_records_and_the_pinned_partition_are_judged() -> None:
    assert failures(outcome(attended=True, plans=(), risks=())) == []
    assert failures(outcome(attended=True, records=replace(CLEAN, lost=1))) == ["1 records lost"]


def test_the_document_has_the_keys_that_scripts_rely_on() -> None:
    document = json.loads(json.dumps(to_document(outcome()), allow_nan=False))
    assert {"planted", "findings", "plans", "records", "savings", "seed", "time_scale", "seconds"} <= set(document)
    assert {"rule", "resource", "severity", "first_seen", "evidence", "usd_per_month", "explanation"} <= set(
        document["findings"][0]
    )
    assert {"steps", "predicted", "executed", "verified", "rollback"} <= set(document["plans"][0])
    assert {"produced", "consumed", "lost", "duplicated"} <= set(document["records"])
    assert document["savings"]["usd_per_month"] == 62.5


def test_moves_are_told_as_partition_and_owners() -> None:
    assert moves(plan().before, plan().after) == ["orders-1: 0 -> 1"]
