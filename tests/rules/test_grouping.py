"""What one lost broker does to hundreds of topics is told to the person on call once, with the list."""

import pytest

from rules import cases
from rules.engine import Workspace
from rules.page import Step
from tests.rules.pages import built_in

NAMES = ["__consumer_offsets", *(f"t{n:03}" for n in range(200))]


def partitions(leader, isr):
    places = [*((name, 0) for name in NAMES), ("t007", 1)]
    return tuple(
        {
            "cluster": "c",
            "resource": f"c/topic/{name}/{number}",
            "topic": name,
            "partition": number,
            "leader": leader,
            "replicas": ["2", "3"],
            "isr": isr,
        }
        for name, number in places
    )


def settings():
    row = {"cluster": "c", "name": "min.insync.replicas", "value": "2"}
    return tuple({**row, "resource": f"c/topic/{name}", "topic": name} for name in NAMES)


@pytest.mark.parametrize(
    ("rule", "resource", "leader", "brokers"),
    [
        ("DUR-02", "c/component/writes", "2", ("brokers_out_of_sync", "3")),
        ("AVL-02", "c/component/leaders", None, ("replicas_on", "2, 3")),
    ],
)
def test_two_hundred_topics_are_one_finding_with_the_worst_of_them_named_and_the_rest_counted(
    rule, resource, leader, brokers
):
    step = Step(times=1, views={"partition": partitions(leader, ["2"]), "topic_config": settings()})
    with Workspace(cases.StepSource(step), cases.START) as workspace:
        (row,) = workspace.evaluate(built_in().get(rule)).rows
    assert (row.resource, row.fired, row.observed) == (resource, True, 202.0)
    told = row.evidence
    assert told["topics"] == 201 and told[brokers[0]] == brokers[1]
    named = told["topics_named"]
    assert named.startswith("__consumer_offsets (1 of 1), t007 (2 of 2), t000 (1 of 1), ")
    assert named.endswith(" and 181 more")
