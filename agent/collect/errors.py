"""What can go wrong with looking at a cluster: each message names the place and the next step."""

from __future__ import annotations


class CollectError(Exception):
    """A source cannot be read."""


class ClusterUnreachable(CollectError):
    """No bootstrap server answers as a Kafka broker."""


class NotOffered(CollectError):
    """The cluster does not have the API that was asked for."""


class NotAllowed(CollectError):
    """The principal lacks the right; the message names the API."""


class BadProperties(CollectError):
    """A client.properties file that cannot be used; the message names file, line or key."""


class BadExposition(CollectError):
    """A metrics body that is not Prometheus text."""


class BadPush(CollectError):
    """What was pushed cannot be read; `number` is the HTTP status that says so."""

    def __init__(self, what: str, *, number: int = 400) -> None:
        super().__init__(what)
        self.number = number
