"""A page that does not fit is refused with its file, its line, and what to write instead."""

import pytest

from rules import page as pages
from rules.errors import PageError
from rules.page import Persist
from tests.rules.pages import PAGE, page

REFUSED = [
    (("level: P1", "levle: P1"), 4, "unknown key `levle`; did you mean `level`"),
    (("level: P1", "level: P3"), 4, "`level` is `P3`; did you mean"),
    (("level: P1\n", ""), 2, "`level` is missing"),
    (("level: P1", "level: P1\nlevel: P2"), 5, "has `level` twice"),
    (("id: TST-01", "id: hot"), 2, "an id is a family and a number"),
    (("[broker_load]", "[broker_laod]"), 7, "did you mean `broker_load`"),
    (("[broker_load]", "broker_load"), 7, "must be a list"),
    (("every: 10s", "every: 1:30"), 9, "write a duration like 10s"),
    (("every: 10s", "every: 10"), 9, "write a duration like 10s"),
    (("window: 1m", "window: 0m"), 10, "write a duration"),
    (("persist: 3 of 4", "persist: 5 of 4"), 12, "k up to n"),
    (("persist: 3 of 4", "persist: no"), 12, "a bare `no`"),
    (("value: 100", "value: 1:30"), 14, "in base 60"),
    (("value: 100", "value: 010"), 14, "differently"),
    (("value: 100", "value: no"), 14, "a bare `no`"),
    (("value: 100", "value: true"), 14, "must be a number"),
    (
        ('why: "below it, nobody minds"', "why: below it, nobody minds"),
        14,
        "unknown key `nobody minds`; quote the whole",
    ),
    (('why: "below it, nobody minds"', "why: because"), 14, "must be quoted"),
    (('why: "below it, nobody minds"', 'why: ""'), 14, "give the reason"),
    ((', why: "below it, nobody minds"', ""), 14, "needs `why`"),
    (("explained_by: {}", "explained_by: {BAL-01: near}"), 15, "the relation to BAL-01 is `near`; "),
    (("action: Client", "action: Dance"), 16, "`action` is `Dance`"),
    (("title: A broker is busy", "title: &x A broker"), 3, "anchor"),
    (("title: A broker is busy", "title: a: b"), 3, "is not YAML"),
    (("## What to do", "## What now"), 27, "unknown heading"),
    (("## What to do\nLook.", "## What to do"), 18, "`## What to do` is missing or empty"),
    (("expect: []\nbecause", "expect: [demo/broker/9]\nbecause"), 39, "one that stays silent"),
    (('because: "ten bytes"\n', ""), 48, "says why: add `because`"),
    (("bytes_in_per_s: 10}", "bytes_in: 10}"), 51, "no column `bytes_in`; did you mean `bytes_in_per_s`"),
    (("bytes_in_per_s: 10}", "bytes_in_per_s: off}"), 51, "a bare `off`"),
    (("bytes_in_per_s: 10}", "bytes_in_per_s: true}"), 51, "it is a DOUBLE"),
    (("bytes_in_per_s: 10}", "bytes_in_per_s: many}"), 51, "a DOUBLE is a number, a size like 9 MiB"),
    (("  - broker_load:\n", "  - broker_lod:\n"), 42, "unknown view `broker_lod`; did you mean `broker_load`"),
    (("name: A busy broker fires", "name: busy"), 40, "is a sentence"),
]


@pytest.mark.parametrize(("change", "line", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_a_mistake_is_answered_with_its_line_and_the_next_step(change, line, message):
    with pytest.raises(PageError) as refused:
        pages.parse(page(change), "mine.md")
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"mine.md:{line}: ")


def test_a_page_without_front_matter_is_refused():
    with pytest.raises(PageError, match="starts with `---`"):
        pages.parse("# A rule\n", "mine.md")
    with pytest.raises(PageError, match="is not closed"):
        pages.parse("---\nid: X\n", "mine.md")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.md").write_bytes(b"\xff\xfe")
    with pytest.raises(PageError, match="make it a readable UTF-8 file"):
        pages.read(tmp_path / "mine.md")


def test_a_page_is_read_whole():
    read = pages.parse(PAGE, "mine.md")
    assert (read.every_s, read.window_s, read.persist) == (10, 60, Persist(hits=3, of=4))
    assert read.thresholds["floor"].value == 100
    assert [case.name for case in read.cases] == ["A busy broker fires", "A quiet broker stays silent"]
    assert read.cases[0].steps[0].views["broker_load"][0] == {
        "cluster": "demo",
        "broker": "1",
        "resource": "demo/broker/1",
        "bytes_in_per_s": 1024.0,
    }
    assert read.prose["What to do"].strip() == "Look."


def test_a_duration_as_a_threshold_is_in_seconds():
    read = pages.parse(page(("value: 100", "value: 2m")), "mine.md")
    assert read.bind() == {"floor": 120.0}
    assert read.bind({"floor": 5.0}) == {"floor": 5.0}


def test_three_of_four_holds_and_clears_the_same_way():
    persist = Persist(hits=3, of=4)
    assert not persist.holds([True, True])
    assert persist.holds([True, True, False, True])
    assert not persist.cleared([True, True, False, False])
    assert persist.cleared([True, False, False, False])
