"""Prometheus text: fast where it is known, strict where it is new."""

import pytest

from agent.collect.errors import BadExposition
from agent.collect.exposition import Body, Exposition, Room
from agent.collect.lines import Limits


class Numbers:
    def __init__(self) -> None:
        self.given: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def __call__(self, name: str, labels: tuple[tuple[str, str], ...]) -> int:
        return self.given.setdefault((name, labels), len(self.given))


def plain_lines(count: int, value: int) -> list[str]:
    return [
        text for n in range(count) for text in (f"# TYPE m{n} counter", f'm{n}{{a="x y",b="{n}"}} {value + n / 3!r}')
    ]


def test_reads_names_labels_values_and_comments() -> None:
    numbers = Numbers()
    body = b'# TYPE a counter\na 1\nb{x="1",y="2"} 2.5e3\n\nb{ y="2" , x="1" } +Inf\nc{q="a\\"b\\\\c\\nd}"} NaN\n'
    scraped = Exposition(numbers, Limits()).parse(body)
    assert scraped.series.tolist() == [0, 1, 2]
    assert scraped.values[:2].tolist() == [1.0, 2500.0]
    assert ("c", (("q", 'a"b\\c\nd}'),)) in numbers.given


def test_takes_the_value_before_a_timestamp_or_an_exemplar() -> None:
    body = b'a{x="1"} 7 1700000000000\nb 8 # {trace="1"} 0.5\n'
    exposition = Exposition(Numbers(), Limits())
    assert exposition.parse(body).values.tolist() == [7.0, 8.0]
    assert exposition.parse(body).series.tolist() == [0, 1]


def test_reads_a_carriage_return_body() -> None:
    assert Exposition(Numbers(), Limits()).parse(b"a 1\r\nb 2\r\n").values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>no</html>", "line 1: no metric name"),
        (b"a\n", "line 1: no value"),
        (b'a 1\nb{x="1" 2\n', "line 2: labels do not end"),
        (b"a one\n", "line 1: could not convert"),
        (b'a{x="' + b"v" * 5000 + b'"} 1\n', "labels of 4096 bytes"),
    ],
)
def test_names_the_line_that_is_not_prometheus_text(body: bytes, said: str) -> None:
    with pytest.raises(BadExposition, match=said):
        Exposition(Numbers(), Limits()).parse(body)


def test_refuses_the_whole_body_over_its_limit_of_series() -> None:
    body = b"".join(b'm{n="%d"} 1\n' % n for n in range(11))
    with pytest.raises(BadExposition, match="more than 10 series"):
        Exposition(Numbers(), Limits(series=10)).parse(body)


def test_a_body_in_pieces_reads_like_one_in_one_piece() -> None:
    body = ("\n".join(plain_lines(300, 7)) + "\n").encode()
    numbers = Numbers()
    whole = Exposition(numbers, Limits()).parse(body)
    pieces = Exposition(numbers, Limits())
    for size in (1, 17, 4096):
        with Body(pieces) as reading:
            for start in range(0, len(body), size):
                reading.feed(body[start : start + size])
            scraped = reading.finish()
        assert scraped.series.tolist() == whole.series.tolist() == list(range(300))
        assert scraped.values.tolist() == whole.values.tolist()


def test_known_series_are_told_apart_when_lines_come_go_and_change_places() -> None:
    numbers = Numbers()
    exposition = Exposition(numbers, Limits())
    lines = plain_lines(50, 1)
    shapes = [lines, lines, lines[10:], lines[::-1], [*lines[:20], "new 5", *lines[20:]], lines, ["", *lines, ""]]
    for shape in shapes:
        scraped = exposition.parse("\n".join(shape).encode() + b"\n")
        fresh = Exposition(numbers, Limits()).parse("\n".join(shape).encode() + b"\n")
        assert sorted(zip(scraped.series.tolist(), scraped.values.tolist(), strict=True)) == sorted(
            zip(fresh.series.tolist(), fresh.values.tolist(), strict=True)
        )


def test_a_series_that_comes_twice_counts_once_with_its_first_value() -> None:
    exposition = Exposition(Numbers(), Limits())
    for _ in range(3):
        scraped = exposition.parse(b'b{x="1",y="2"} 1\na 5\nb{y="2",x="1"} 2\nb{x="1",y="2"} 3\n')
        assert dict(zip(scraped.series.tolist(), scraped.values.tolist(), strict=True)) == {0: 1.0, 1: 5.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('a{x="1"} 2 -1700000000000', 2.0),
        ("a 3 1700000000.123", 3.0),
        ('a_bucket{le="+Inf"} 4 # {trace_id="a # b} 9"} 0.67 1520879607.789', 4.0),
        ('a{x="} 9 # {"} 5', 5.0),
        ('a{x="\\\\n",} 6', 6.0),
        ("a  \t 7 ", 7.0),
    ],
)
def test_reads_what_may_stand_around_a_value_also_the_second_time(text: str, value: float) -> None:
    numbers = Numbers()
    exposition = Exposition(numbers, Limits())
    for _ in range(3):
        assert exposition.parse(f"{text}\n".encode()).values.tolist() == [value]
    assert len(numbers.given) == 1


def test_escapes_are_the_three_that_exist() -> None:
    numbers = Numbers()
    Exposition(numbers, Limits()).parse(rb'a{x="one\\two\nthree\"four\tfive"} 1')
    assert next(iter(numbers.given))[1] == (("x", 'one\\two\nthree"four\\tfive'),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"a 1_000", "no number"),
        (b"a 1 soon", "could not convert"),
        (b"a 1 2 3", "3 words after"),
        (b'a 1 # {x="1"}', "exemplar without a value"),
        (b"a 1 # nothing", "exemplar without labels"),
        (b'a{x="1",x="2"} 1', "label x twice"),
    ],
)
def test_refuses_a_known_series_with_a_value_that_is_none(line: bytes, said: str) -> None:
    exposition = Exposition(Numbers(), Limits())
    exposition.parse(b"b 1\na 1\n" * 2)
    with pytest.raises(BadExposition, match=said):
        exposition.parse(b"b 1\n" + line + b"\n")


def test_an_open_metrics_body_without_its_end_was_cut_off() -> None:
    exposition = Exposition(Numbers(), Limits())
    with Body(exposition) as reading:
        reading.feed(b"a 1\n# EOF\n")
        assert reading.finish(open_metrics=True).values.tolist() == [1.0]
    with Body(exposition) as reading, pytest.raises(BadExposition, match="cut off"):
        reading.feed(b"a 1\n")
        reading.finish(open_metrics=True)


def test_a_line_without_an_end_is_refused_long_before_the_body_is_too_large() -> None:
    with Body(Exposition(Numbers(), Limits())) as reading, pytest.raises(BadExposition, match="a line over 65536"):
        for _ in range(100):
            reading.feed(b"a" * 4096)


def test_gives_no_number_before_the_body_is_within_its_limits() -> None:
    numbers = Numbers()
    with pytest.raises(BadExposition, match="more than 1000 series"):
        Exposition(numbers, Limits(series=1000)).parse(b"".join(b'm{n="%d"} 1\n' % n for n in range(1001)))
    assert not numbers.given


def test_new_series_of_many_targets_share_one_room_and_known_ones_need_none() -> None:
    room = Room(most_bytes=1 << 20)
    first, second = (Exposition(Numbers(), Limits(), room) for _ in range(2))
    many = b"".join(b'm{n="%d",filler="%s"} 1\n' % (n, b"x" * 900) for n in range(2000))
    first.parse(many)
    with Body(first) as open_one:
        open_one.feed(many.replace(b"m{", b"other{"))
        with pytest.raises(BadExposition, match="of all targets at once"):
            second.parse(many)
        assert first.parse(many).values.sum() == 2000
    assert second.parse(many).values.sum() == 2000


def test_a_line_that_lost_its_key_is_never_taken_for_the_value_of_the_one_before() -> None:
    exposition = Exposition(Numbers(), Limits())
    for _ in range(3):
        exposition.parse(b"# TYPE b gauge\nb 1\na 1\n")
    with pytest.raises(BadExposition, match="line 3"):
        exposition.parse(b"# TYPE b gauge\nb 1\n1\n")
    assert exposition.parse(b"# TYPE b gauge\nb 1\na 2\n").values.tolist() == [1.0, 2.0]


def test_values_that_stand_still_beside_some_that_move_stay_what_they_were() -> None:
    exposition = Exposition(Numbers(), Limits())
    for n in range(6):
        text = f"# TYPE a counter\na 7\nb {n}\nc NaN\nd {n % 2}.5\n"
        values = exposition.parse(text.encode()).values.tolist()
        assert [values[0], values[1], values[3]] == [7.0, n, n % 2 + 0.5]
        assert values[2] != values[2]
