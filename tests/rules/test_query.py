"""What a page's query may not be is told when the page is loaded, by file and line."""

import pytest

from rules import page as pages
from rules import query
from rules.errors import PageError
from tests.rules.pages import PAGE, page, with_query

COLUMNS = 'SELECT resource, true AS fired, 1 AS observed, $floor AS "limit", 1 AS score, NULL AS usd_per_month'

REFUSED = [
    (with_query(f"{COLUMNS} FROM broker_load; SELECT 1"), "2 statements; it must be exactly one SELECT"),
    (with_query("COPY broker_load TO 'stolen.csv'"), "is a COPY; it must be a SELECT"),
    (with_query("ATTACH 'other.db'"), "is a ATTACH"),
    (with_query("SELECT FROM WHERE"), "is not SQL"),
    (with_query(f"{COLUMNS} FROM read_csv('secrets.csv')"), "disabled by configuration"),
    (with_query(f"{COLUMNS} FROM partition"), "partition"),
    (with_query(f"{COLUMNS}, now() AS at FROM broker_load"), "uses `now`"),
    (
        with_query(
            f"WITH x AS (INSERT INTO broker_load(resource) VALUES ('a') RETURNING 1) {COLUMNS} FROM broker_load, x"
        ),
        "",
    ),
    (with_query("SELECT resource, $floor AS fired FROM broker_load"), "no column 'observed'"),
    (with_query(f"{COLUMNS}, 1 AS score FROM broker_load"), "two columns 'score'"),
    (page(("> $floor AS fired", "> $ceiling AS fired")), "uses `$ceiling`, which `thresholds` does not declare"),
    (
        page(("  floor: {", '  unused: {value: 1, why: "none"}\n  floor: {')),
        "threshold `unused` is declared and not used",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message or "a write inside" for _, message in REFUSED])
def test_a_query_that_is_not_one_plain_select_is_refused(text, message):
    with pytest.raises(PageError) as refused:
        query.check(pages.parse(text, "mine.md"))
    assert message in str(refused.value)
    assert str(refused.value).startswith("mine.md:")


def test_a_clock_in_a_comment_or_a_text_is_no_clock():
    sql = f"{COLUMNS}, 'now' AS word FROM broker_load -- not now()"
    assert query.check(pages.parse(with_query(sql), "mine.md")).id == "TST-01"


def test_the_page_as_it_is_passes():
    assert query.check(pages.parse(PAGE, "mine.md")).id == "TST-01"
