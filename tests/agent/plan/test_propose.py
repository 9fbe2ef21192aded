"""What is proposed, what is refused, and why."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.codec import from_json, to_json
from agent.model.plan import Plan, Refusal
from agent.model.resource import resource_id
from agent.plan import PlanSettings, propose, propose_all, state_from_views
from tests.agent.plan.clusters import MIB, NOW, cluster, risk

HOT = risk("BAL-01", "c/broker/0")
TYPICAL = {0: [4, 3, 2, 1, 1, 1], 1: [1, 1], 2: [1, 1]}
KEPT_A_WEEK = {"orders": {"retention.ms": ("604800000", "DEFAULT_CONFIG")}}


def test_brings_the_busiest_broker_under_the_limit():
    plan = propose([HOT], cluster(TYPICAL), None, NOW)
    assert isinstance(plan, Plan)
    assert plan.before.busiest_over_mean == pytest.approx(2.25)
    assert plan.after.busiest_over_mean < 1.25
    assert plan.risks == (HOT.id,) and plan.state == "proposed"
    assert sum(plan.after.broker_bytes_per_s.values()) == pytest.approx(16 * MIB)


def test_the_same_inputs_make_the_same_plan():
    assert propose([HOT], cluster(TYPICAL), None, NOW) == propose([HOT], cluster(TYPICAL), None, NOW)


def test_every_step_names_what_undoes_it_and_what_a_person_could_run():
    plan = propose([HOT], cluster(TYPICAL), None, NOW)
    for step in plan.steps:
        assert step.undo["replicas"] == step.pre_image["replicas"]
        assert step.params["replicas"][0] != step.pre_image["replicas"][0]
        assert len(step.params["replicas"]) == len(set(step.params["replicas"])) == 3
        assert step.step_class == "reversible"
        assert "kafka-reassign-partitions.sh" in step.commands[1] and '"replicas":' in step.commands[0]


def test_a_plan_survives_the_trip_through_json():
    plan = propose([HOT], cluster(TYPICAL), None, NOW)
    assert from_json(Plan, to_json(plan)) == plan


def fewest_moves(loads: dict[int, list[float]], limit: float) -> int | None:
    """By trying everything: the fewest moves that get the busiest under `limit`."""
    items = [(owner, load) for owner, own in loads.items() for load in own]
    mean = sum(load for _, load in items) / len(loads)
    best = None
    for owners in itertools.product(loads, repeat=len(items)):
        total = dict.fromkeys(loads, 0.0)
        for (_, load), owner in zip(items, owners, strict=True):
            total[owner] += load
        moved = sum(owner != item[0] for owner, item in zip(owners, items, strict=True))
        if max(total.values()) < limit * mean and (best is None or moved < best):
            best = moved
    return best


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=4, max_size=6), st.integers(1, 5))
def test_is_under_the_limit_whenever_trying_everything_finds_a_way(own, other):
    loads = {0: [float(load) for load in own], 1: [float(other)], 2: []}
    possible = fewest_moves(loads, 1.25)
    answer = propose([HOT], cluster(loads), None, NOW)
    if possible is None and isinstance(answer, Plan):
        mean = (sum(own) + other) / 3
        assert max(answer.after.broker_bytes_per_s.values()) <= 1.25 * MIB * max(mean, other, *own)
        assert "best possible" in answer.risk
    elif possible is None:
        assert "best possible" in answer.reason
    elif possible == 0:
        assert isinstance(answer, Plan) or "already" in answer.reason
    else:
        assert isinstance(answer, Plan)
        assert answer.after.busiest_over_mean < 1.25
        assert len(answer.steps) >= possible


def test_makes_no_move_that_buys_nothing():
    plan = propose([HOT], cluster({0: [4, 4, 4] + [0.001] * 20, 1: [], 2: []}), None, NOW)
    assert len(plan.steps) == 2


def test_never_moves_a_pinned_partition():
    plan = propose([HOT], cluster({0: [5, 4, 3, 3], 1: [1], 2: [1]}, pinned=(0,)), None, NOW)
    assert isinstance(plan, Plan)
    assert 0 not in {step.params["partition"] for step in plan.steps}


def test_refuses_when_one_partition_is_the_whole_load_and_says_which():
    answer = propose([HOT], cluster({0: [9], 1: [1], 2: [1]}, pinned=(0,)), None, NOW)
    assert isinstance(answer, Refusal)
    assert "orders-0 alone carries" in answer.reason and "keys are skewed" in answer.reason


def test_cordoned_and_dead_brokers_receive_nothing():
    state = cluster({0: [2, 2], 1: [], 2: [], 3: []}, cordoned=(1,))
    state = replace(state, brokers=(*state.brokers[:3], replace(state.brokers[3], up=False)))
    answer = propose([HOT], state, None, NOW)
    assert isinstance(answer, Plan) and {step.params["replicas"][0] for step in answer.steps} == {2}


def test_internal_topics_stay_where_they_are():
    state = cluster({0: [5, 4, 3], 1: [1], 2: [1]})
    state = replace(state, partitions=tuple(replace(p, internal=p.partition == 0) for p in state.partitions))
    plan = propose([HOT], state, None, NOW)
    assert isinstance(plan, Refusal) or 0 not in {step.params["partition"] for step in plan.steps}


def test_load_that_no_partition_explains_stays_on_its_broker():
    state = cluster({0: [2, 2], 1: [1], 2: [1]})
    state = replace(state, brokers=(replace(state.brokers[0], bytes_in_per_s=24.0 * MIB), *state.brokers[1:]))
    answer = propose([HOT], state, None, NOW)
    assert isinstance(answer, Refusal) and "best possible" in answer.reason


def test_the_number_of_moves_is_capped_and_it_says_that_more_must_follow():
    state = cluster({0: [1.0] * 30, 1: [], 2: []})
    plan = propose([HOT], state, None, NOW, PlanSettings(max_moves=5))
    assert len(plan.steps) == 5 and "another plan must follow" in plan.risk


def test_a_new_broker_gets_its_share():
    idle = risk("BAL-06", "c/broker/3")
    plan = propose([idle], cluster({0: [1] * 4, 1: [1] * 4, 2: [1] * 4, 3: []}), None, NOW)
    assert {step.params["replicas"][0] for step in plan.steps} == {3}
    assert len(plan.steps) == 3


def test_offline_partitions_are_placed_on_live_brokers():
    gone = risk("AVL-03", "c/broker/2")
    plan = propose([gone], cluster({0: [1, 1], 1: [1], 2: [2, 1]}, down=(2,)), None, NOW)
    assert {step.params["partition"] for step in plan.steps} == {3, 4}
    assert all(step.params["replicas"][0] in {0, 1} for step in plan.steps)


def test_a_dead_broker_with_nothing_offline_needs_no_move():
    state = cluster({0: [1], 1: [1], 2: []}, down=(2,))
    answer = propose([risk("AVL-03", "c/broker/2")], state, None, NOW)
    assert isinstance(answer, Refusal) and "already have a live leader" in answer.reason


def test_apache_kafka_cannot_copy_from_a_dead_broker():
    answer = propose(
        [risk("AVL-03", "c/broker/2")], cluster({0: [1], 1: [1], 2: [1]}, down=(2,), kind="kafka"), None, NOW
    )
    assert isinstance(answer, Refusal) and "cannot copy from a dead broker" in answer.reason


def test_does_not_rebalance_when_two_of_three_are_gone():
    state = cluster({0: [3], 1: [1], 2: [1]}, down=(1, 2))
    answers = propose_all([HOT, risk("AVL-03", "c/broker/1"), risk("AVL-04", "c/component/brokers")], state, None, NOW)
    assert all(isinstance(answer, Refusal) for answer in answers) and len(answers) == 3
    assert "2 of 3 brokers are gone" in answers[0].reason


def test_says_that_apache_kafka_copies_data_and_how_much():
    state = cluster({0: [3, 3, 3, 3], 1: [], 2: [], 3: []}, kind="kafka")
    plan = propose([HOT], state, None, NOW)
    assert "1 of the 3 moves copy data to a new broker: 1.0 GiB in all" in plan.risk
    assert any("kafka-leader-election.sh" in command for step in plan.steps for command in step.commands)


@pytest.mark.parametrize("rule", ["BAL-03", "AVL-04", "AVL-06", "CLI-01", "CLI-02", "NET-01", "LAG-02", "OBJ-04"])
def test_advice_is_text_and_nothing_is_executed(rule):
    answer = propose([risk(rule, "c/client/app")], cluster(TYPICAL), None, NOW)
    assert isinstance(answer, Refusal) and answer.advice and answer.rule == rule
    assert "{" not in answer.reason


@pytest.mark.parametrize("name", ["reports,zone=c", "automq_az=c;app=reports", "reports&ws_az=use1-az2"])
def test_a_client_that_says_its_zone_is_told_of_its_rack_only(name):
    resource = resource_id("c", "client", name)
    answer = propose([risk("NET-01", resource)], cluster(TYPICAL), None, NOW)
    assert "client.rack=" in answer.advice and "client.id=" not in answer.advice
    silent = propose([risk("NET-01", "c/client/reports-zone")], cluster(TYPICAL), None, NOW)
    assert "client.id=reports-zone,zone=<zone>" in silent.advice


def test_all_risks_get_an_answer_and_the_moves_come_first():
    answers = propose_all(
        [risk("BAL-03", "c/topic/orders/0"), HOT, risk("LAG-02", "c/group/g")], cluster(TYPICAL), None, NOW
    )
    assert [type(answer) for answer in answers] == [Plan, Refusal, Refusal]


def test_retention_is_raised_reversibly_before_unread_records_expire():
    state = cluster(TYPICAL, configs=KEPT_A_WEEK)
    plan = propose([risk("LAG-08", "c/group/g", topic="orders")], state, None, NOW)
    (step,) = plan.steps
    assert step.action == "AlterTopic" and step.step_class == "reversible"
    assert step.params["value"] == "1209600000" and step.undo["value"] is None


def test_lowering_retention_is_marked_destructive_and_says_what_it_saves():
    state = cluster(TYPICAL, configs=KEPT_A_WEEK)
    plan = propose([risk("TOP-01", "c/topic/orders", name="retention.ms", value="86400000")], state, None, NOW)
    (step,) = plan.steps
    assert step.step_class == "destructive" and plan.usd_per_month == 12.5
    assert "Destructive" in plan.risk


def test_the_state_is_read_from_the_canonical_views():
    state = state_from_views(
        "c",
        {
            "broker": [{"broker": "1", "up": True, "kind": "bundled", "zone": "a"}, {"broker": "0", "up": False}],
            "broker_load": [{"broker": "1", "bytes_in_per_s": 5.0}],
            "partition": [
                {"topic": "t", "partition": 0, "leader": "1", "replicas": ["1", "0"], "size_bytes": None},
                {"topic": "__x", "partition": 0, "leader": None, "replicas": ["0"]},
            ],
            "partition_load": [{"topic": "t", "partition": 0, "bytes_in_per_s": 5.0}],
        },
        pinned=["c/topic/t"],
    )
    assert [broker.id for broker in state.live] == [1] and state.kind == "bundled"
    assert state.pinned == {("t", 0)} and state.partitions[0].internal and state.partitions[0].leader == -1


def test_a_large_cluster_is_planned_within_seconds():
    loads = {id: [1.0] * 40 for id in range(60)}
    loads[7] = [3.0] * 80
    plan = propose([HOT], cluster(loads), None, NOW)
    assert plan.after.busiest_over_mean < plan.before.busiest_over_mean and len(plan.steps) <= 50


def test_raising_a_retention_of_minutes_says_how_much_more_is_really_stored():
    state = cluster(TYPICAL, configs={"orders": {"retention.ms": ("120000", "DYNAMIC_TOPIC_CONFIG")}})
    plan = propose([risk("LAG-08", "c/group/g", topic="orders")], state, None, NOW)
    assert plan.title == "Raise retention of orders from 2 min to 1 h"
    assert "up to 30 times as much" in plan.risk and "roll it back to 2 min" in plan.risk


@pytest.mark.parametrize(
    ("rule", "resource", "named"),
    [
        ("AVL-02", "c/component/leaders", "no live broker"),
        ("DUR-01", "c/topic/payments", "payments"),
        ("DUR-02", "c/component/writes", "on brokers"),
    ],
)
def test_what_only_a_broker_or_an_owner_can_mend_gets_words_and_no_plan(rule, resource, named):
    answer = propose([risk(rule, resource)], cluster(TYPICAL), None, NOW)
    assert isinstance(answer, Refusal) and named in answer.reason and "$BOOTSTRAP" in answer.advice
