"""Prometheus text: fast where it is known, strict where it is new."""

import pytest

from agent.collect.errors import BadExposition
from agent.collect.exposition import Exposition, Limits


class Numbers:
    def __init__(self) -> None:
        self.given: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def __call__(self, name: str, labels: tuple[tuple[str, str], ...]) -> int:
        return self.given.setdefault((name, labels), len(self.given))


def test_reads_names_labels_values_and_comments() -> None:
    numbers = Numbers()
    body = b'# TYPE a counter\na 1\nb{x="1",y="2"} 2.5e3\n\nb{ y="2" , x="1" } +Inf\nc{q="a\\"b\\\\c\\nd}"} NaN\n'
    scraped = Exposition(numbers, Limits()).parse(body)
    assert scraped.series.tolist() == [0, 1, 1, 2]
    assert scraped.values[:3].tolist() == [1.0, 2500.0, float("inf")]
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
