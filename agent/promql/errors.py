"""Why a query has no answer, with the words that Prometheus's HTTP API has for it (`errorType`)."""

from __future__ import annotations


class QueryError(Exception):
    """A query that is refused or failed; `kind` is Prometheus's errorType, `status` its HTTP status."""

    kind = "execution"
    status = 422


class BadQuery(QueryError):
    """What was asked cannot be understood: syntax, types, parameters."""

    kind = "bad_data"
    status = 400


class Unsupported(BadQuery):
    """Valid PromQL that this engine does not evaluate; the message names it."""


class TooMuch(QueryError):
    """More samples than one query may load or make."""


class TooSlow(QueryError):
    """The query passed its deadline."""

    kind = "timeout"
    status = 503
