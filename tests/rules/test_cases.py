"""The case runner tells a page that keeps its promises from one that does not."""

from rules import cases
from rules import page as pages
from tests.rules.pages import PAGE, page


def test_a_page_that_keeps_its_promises_passes():
    assert [result.passed for result in cases.run(pages.parse(PAGE, "p"))] == [True, True]


def test_a_broken_promise_shows_what_was_seen():
    (busy, _) = cases.run(pages.parse(page(("value: 100", "value: 5000")), "p"))
    assert (busy.passed, busy.fired) == (False, ())
    assert "demo/broker/1: fired=False observed=1024.0 limit=5000.0" in busy.detail


def test_steps_last_as_long_as_they_say():
    text = page(("  - broker_load:\n", "  - times: 2\n    broker_load:\n"))
    (busy, _) = cases.run(pages.parse(text, "p"))
    assert busy.fired == ()


def test_a_step_can_be_without_data():
    rows = "      - {resource: demo/broker/1, bytes_in_per_s: 10}\n"
    text = page(("  - broker_load:\n" + rows, '  - broker_load: "dark"\n'))
    (_, dark) = cases.run(pages.parse(text, "p"))
    assert (dark.passed, dark.detail) == (True, "no data for broker_load: dark")
