"""Words without a model: each risk explained, each kind of question answered and cited."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import rules
from agent.explain import Answerer, Explainer, Snapshot
from agent.explain.text import clean
from agent.model.finding import Evidence, Silence
from agent.plan import propose_all
from rules.page import read
from tests.agent.plan.clusters import NOW, cluster, risk

PAGES = {page.id: page for page in map(read, sorted((Path(rules.__file__).parent / "catalogue").glob("*/*.md")))}


def hot():
    found = risk("BAL-01", "c/broker/0")
    row = {"resource": "c/broker/0", "bytes_in_per_s": 12_582_912.0, "mean_bytes_in_per_s": 4_194_304.0, "leaders": 6}
    latest = replace(
        found.latest, evidence=(Evidence(view="rule BAL-01", query_hash="ab12" * 16, as_of=NOW, rows=(row,)),)
    )
    return replace(found, latest=latest, snapshot=latest)


@pytest.fixture
def snapshot():
    stopped = risk("LAG-02", "c/group/checkout")
    answers = propose_all([hot()], cluster({0: [4, 3, 2, 1, 1, 1], 1: [1, 1], 2: [1, 1]}), None, NOW)
    return Snapshot(
        cluster="c",
        at=NOW,
        risks=(hot(), stopped),
        silences=(Silence(rule="TOP-01", reason="needs 3 more minutes of data", nearest="c/topic/orders", score=0.5),),
        plans=tuple(answers),
        views={
            "broker_load": [{"broker": "0", "bytes_in_per_s": 12_582_912.0}],
            "partition_load": [{"topic": "orders", "partition": 0, "bytes_in_per_s": 1048576.0}],
            "group_state": [{"group_id": "checkout", "state": "Empty", "members": 0}],
            "group_lag": [
                {"group_id": "checkout", "topic": "orders", "partition": 0, "lag_records": 1500, "lag_s": 300.0},
                {"group_id": "billing", "topic": "orders", "partition": 0, "lag_records": 3, "lag_s": None},
            ],
            "cost": [
                {"component": "compute", "for_resource": None, "usd_per_hour": 0.5, "basis": "meter"},
                {"component": "compute", "for_resource": None, "usd_per_hour": 0.6, "basis": "bill"},
            ],
            "request_stats": [{"broker": "0", "api": "Produce", "p99_s": 0.25, "throttle_s": None}],
        },
    )


@pytest.fixture
def answerer():
    return Answerer(Explainer(PAGES))


@pytest.mark.parametrize("rule", sorted(PAGES))
def test_every_rule_of_the_catalogue_is_explained_with_its_own_prose(rule):
    text = Explainer(PAGES).explain(risk(rule, "c/broker/0"))
    assert text.startswith(f"title of {rule}: broker 0.\n")
    assert "What to do:" in text and "When this is wrong:" in text


def test_a_page_of_a_user_gets_words_too():
    @dataclass(frozen=True)
    class Mine:
        prose: dict

    text = Explainer({"MY-01": Mine({"What to do": "Call Ann."})}).explain(risk("MY-01", "c/topic/orders/3"))
    assert "Call Ann." in text and "topic orders, partition 3" in text


def test_the_numbers_are_the_findings_own_with_units():
    text = Explainer(PAGES).explain(hot())
    assert "bytes in 12.0 MiB/s" in text and "mean bytes in 4.0 MiB/s" in text and "leaders 6" in text


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("what is wrong?", "BAL-01"),
        ("is the cluster healthy?", "LAG-02"),
        ("why is group checkout lagging?", "1,500 records behind"),
        ("why is checkout lagging?", "oldest unread record is 5.0 min old"),
        ("what is lagging", "Group checkout is 1,500"),
        ("what does it cost?", "$365.00 a month, by the meter"),
        ("why did the bill change", "compute: $365.00"),
        ("why is it slow?", "api Produce, p99 0.25 s"),
        ("what would fix it?", "Move "),
        ("why is TOP-01 silent?", "needs 3 more minutes of data"),
        ("tell me about broker 0", "bytes in 12.0 MiB/s"),
        ("tell me about topic orders", "1.0 MiB/s written"),
        ("which broker is the busiest?", "The busiest broker is 0: 12.0 MiB/s written, 100 % of all"),
        ("which topic gets the most traffic?", "The busiest topic is orders: 1.0 MiB/s written"),
        ("which client is hottest?", "No load is known"),
        ("billing", "No rule says that anything is wrong with group billing"),
    ],
)
def test_answers_and_cites(answerer, snapshot, question, said):
    answer = answerer.ask(question, snapshot)
    assert said in answer.text and answer.source == "rules" and answer.checked
    cited = {int(n) for n in re.findall(r"\[(\d+)\]", answer.text)}
    assert cited == set(range(1, len(answer.citations) + 1))


def test_says_what_it_can_answer_when_it_does_not_understand(answerer, snapshot):
    assert "I can answer" in answerer.ask("will it rain tomorrow", snapshot).text


def test_a_quiet_cluster_is_said_to_be_quiet(answerer):
    assert "Nothing is wrong" in answerer.ask("what is wrong", Snapshot(cluster="c", at=NOW)).text


def test_text_from_the_cluster_is_cleaned_and_cut():
    assert clean("a\x1b[31m\nb</evidence>" + "x" * 500).startswith("a [31m b‹/evidence›")
    assert len(clean("x" * 500)) == 120
