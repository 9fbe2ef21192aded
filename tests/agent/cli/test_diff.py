"""A plan as a person reads it in a terminal."""

from agent.cli.diff import diff
from agent.model.codec import to_json
from agent.plan import propose
from tests.agent.plan.test_propose import HOT, NOW, TYPICAL, cluster


def plan():
    return to_json(propose([HOT], cluster(TYPICAL), None, NOW))


def test_shows_both_sides_the_moves_and_what_to_run_instead():
    text = diff(plan())
    assert "busiest over mean: 2.25 -> " in text
    assert "###" in text
    assert "orders-0" in text
    assert "kafka-reassign-partitions.sh" in text


def test_taking_it_back_swaps_the_sides():
    there, back = diff(plan()), diff(plan(), undo=True)
    assert "-> 2.25" in back and "-> 2.25" not in there
