"""How a request went, read off its answer."""

from __future__ import annotations

import pytest

from broker.api.outcome import is_refused


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"error_code": 31}, True),
        ({"error_code": 3, "topics": []}, False),
        ({"topics": [{"name": "a", "error_code": 0, "partitions": []}, {"name": "b", "error_code": 29}]}, True),
        ({"topics": [{"name": "a", "partitions": [{"error_code": 0}]}, {"name": "b", "partitions": []}]}, False),
        ({"topics": [{"name": "a", "partitions": [{}, {"error_code": 29}]}]}, True),
        ({"results": [{"name": "a", "results": [{"partition_error_code": 53}]}]}, True),
        ({"error_code": 0, "groups": [{"error_code": 30}]}, True),
        ({"auth_bytes": b"29", "brokers": [1, 29]}, False),
        (None, False),
    ],
)
def test_a_refusal_anywhere_in_an_answer_is_seen(answer: object, refused: bool) -> None:
    assert is_refused(answer) is refused
