"""What can go wrong with a rule: the page, its query, or the data it needs."""

from __future__ import annotations


class RuleError(Exception):
    """The root of this tree; the message names the page, the place and what to do."""


class PageError(RuleError):
    """A page that cannot be used as it is written."""

    def __init__(self, source: str, line: int, message: str) -> None:
        super().__init__(f"{source}:{line}: {message}")
        self.source = source
        self.line = line
        self.message = message


class QueryError(RuleError):
    """A query that failed, or answered something that is not a list of candidates."""


class NoData(RuleError):
    """A view cannot be filled: why, in words that a person can act on. Never a fault of the cluster by itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
