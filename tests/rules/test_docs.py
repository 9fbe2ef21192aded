"""`docs/rules/` says what the catalogue says."""

from rules import catalogue, docs


def test_every_rule_has_a_page_with_its_reasons_and_the_index_names_it():
    pages = docs.pages()
    for rule in catalogue.load():
        assert f"[{rule.id}]({rule.id}.md)" in pages["README.md"]
        assert rule.query in pages[f"{rule.id}.md"]
        for threshold in rule.thresholds.values():
            assert threshold.why in pages[f"{rule.id}.md"]
