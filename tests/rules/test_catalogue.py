"""Walks the catalogue: every page, and every promise its cases make."""

import pytest

from rules import cases, catalogue
from rules.errors import PageError, RuleError
from tests.rules.pages import PAGE, page

CATALOGUE = catalogue.load()
CASES = [(rule, case) for rule in CATALOGUE for case in rule.cases]


@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{rule.id}: {case.name}" for rule, case in CASES])
def test_the_page_keeps_what_its_case_promises(rule, case):
    result = cases.run_case(rule, case)
    assert result.passed, (
        f"{result.source}:{result.line} expected {result.expected}, fired {result.fired}: {result.detail}"
    )


def test_the_twelve_first_rules_are_there():
    first = "AVL-03 AVL-04 BAL-01 BAL-03 BAL-06 CLI-01 CLI-02 LAG-02 LAG-08 NET-01 OBJ-04 TOP-01"
    assert {rule.id for rule in CATALOGUE} >= set(first.split())


def test_every_rule_says_nothing_about_an_empty_cluster_and_about_one_without_data():
    from rules.page import Case, Step

    for rule in CATALOGUE:
        empty = Case(name="empty", line=0, steps=(Step(times=None, views={}),), expect=(), because="nothing is there")
        assert cases.run_case(rule, empty).passed, rule.id
        dark = Step(times=None, views=dict.fromkeys(rule.needs, "the exporter is gone"))
        assert cases.run_case(rule, Case(name="dark", line=0, steps=(dark,), expect=(), because="dark")).passed, rule.id


def test_bal_01_and_bal_03_agree_on_what_a_hot_partition_is():
    hot, skewed = CATALOGUE.get("BAL-01"), CATALOGUE.get("BAL-03")
    assert hot.thresholds["skew_share"].value == skewed.thresholds["share"].value
    assert hot.thresholds["skew_partitions"].value == skewed.thresholds["partitions"].value


def test_a_folder_of_a_user_adds_its_pages(tmp_path):
    (tmp_path / "mine.md").write_text(PAGE)
    assert catalogue.load([tmp_path]).get("TST-01").title == "A broker is busy"


def test_an_id_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "mine.md").write_text(page(("TST-01", "BAL-01")))
    with pytest.raises(PageError, match=r"`BAL-01` is already the id of .*hot-broker\.md; choose another"):
        catalogue.load([tmp_path])


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RuleError, match="no such file or folder"):
        catalogue.load([tmp_path / "nowhere"])


def test_a_disabled_rule_is_gone_and_an_unknown_one_is_refused():
    assert "BAL-01" not in {rule.id for rule in catalogue.load(disabled=["BAL-01"])}
    with pytest.raises(RuleError, match="no rule `BAL-1`; did you mean `BAL-0"):
        catalogue.load(disabled=["BAL-1"])


def test_an_override_of_a_threshold_that_is_not_there_names_the_nearest():
    with pytest.raises(RuleError, match="BAL-01 has no threshold `skw`; did you mean `skew`"):
        catalogue.load(overrides={"BAL-01": {"skw": 2}})
    with pytest.raises(RuleError, match="threshold `skew` is 'much'; write a number"):
        catalogue.load(overrides={"BAL-01": {"skew": "much"}})


def test_a_cause_that_no_page_has_is_refused(tmp_path):
    (tmp_path / "mine.md").write_text(page(("explained_by: {}", "explained_by: {AVL-99: any}")))
    with pytest.raises(PageError, match="`explained_by` names `AVL-99`"):
        catalogue.load([tmp_path])
