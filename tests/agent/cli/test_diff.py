"""A plan as a person reads it in a terminal."""

from dataclasses import replace

from agent.cli.diff import diff
from agent.model.codec import to_json
from agent.plan import propose
from tests.agent.plan.test_propose import HOT, NOW, TYPICAL, cluster, risk


def plan():
    return to_json(propose([HOT], cluster(TYPICAL), None, NOW))


def test_shows_both_sides_the_moves_and_what_to_run_instead():
    text = diff(plan())
    assert "busiest over mean: 2.25 -> " in text
    assert "###" in text
    assert "orders-0" in text
    assert "kafka-reassign-partitions.sh" in text


def test_names_the_cluster_and_the_kafka_id_that_it_is_bound_to():
    bound = propose([HOT], replace(cluster(TYPICAL), cluster_id="5L6g3nShT-eMCtK--X86sw"), None, NOW)
    assert "cluster: c (Kafka id 5L6g3nShT-eMCtK--X86sw)" in diff(to_json(bound)).splitlines()
    assert "cluster: c" in diff(plan()).splitlines()


def test_taking_it_back_swaps_the_sides():
    there, back = diff(plan()), diff(plan(), undo=True)
    assert "-> 2.25" in back and "-> 2.25" not in there


def test_a_changed_setting_is_shown_as_it_is_and_would_be_without_loads_that_do_not_change():
    state = cluster(TYPICAL, configs={"orders": {"retention.ms": ("120000", "DYNAMIC_TOPIC_CONFIG")}})
    raised = to_json(propose([risk("LAG-08", "c/group/g", topic="orders")], state, None, NOW))
    there, back = diff(raised).splitlines(), diff(raised, undo=True).splitlines()
    assert "orders retention.ms  120000  3600000" in there and "orders retention.ms  3600000  120000" in back
    assert "no partition moves" in there and not any("busiest over mean" in line for line in there)
