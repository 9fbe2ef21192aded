"""A refusal, as every answer of the admin API tells one: {"error": {"what", "number", "next"}}."""

from __future__ import annotations

from http import HTTPStatus


class AdminError(Exception):
    """`what` is wrong, and what to do `next`; the status is the number."""

    def __init__(self, what: str, *, next: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(what)
        self.status, self.next = status, next
