"""AWS: the instance metadata service, version 2.

`spot/instance-action` is 404 until two minutes before EC2 takes the instance, then {"action", "time"}.
`events/recommendations/rebalance` is 404 until EC2 expects to, then {"noticeTime"}: an early warning and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broker.spot.asking import Answer
from broker.spot.notice import INTERRUPTION, REBALANCE, NoAnswer, Notice, instant_ms, json_object
from broker.spot.session import Session

_ACTIONS = ("terminate", "stop", "hibernate")
_HINT = "; in a container, set the instance's metadata hop limit to 2"


class Aws:
    source = "aws"
    every_s = 2.0
    """EC2 asks for every 5 s at least."""

    def __init__(self, base: str) -> None:
        self.address = base
        self._session = Session(
            base, lasts="X-aws-ec2-metadata-token-ttl-seconds", token="X-aws-ec2-metadata-token", hint=_HINT
        )

    async def look(self) -> Sequence[Notice]:
        path = "/latest/meta-data/spot/instance-action"
        answer = await self._session.get(path)
        if answer is not None:
            told = _object(answer, path)
            action, at = told.get("action"), told.get("time")
            if action not in _ACTIONS:
                raise NoAnswer(f"{path} says no action that is known: {', '.join(_ACTIONS)}")
            deadline = instant_ms(at) if isinstance(at, str) else None
            return (Notice(kind=INTERRUPTION, source=self.source, deadline_ms=deadline, detail=str(action)),)
        path = "/latest/meta-data/events/recommendations/rebalance"
        answer = await self._session.get(path)
        if answer is None:
            return ()
        if "noticeTime" not in _object(answer, path):
            raise NoAnswer(f"{path} has no noticeTime")
        detail = "rebalance recommendation"
        return (Notice(kind=REBALANCE, source=self.source, deadline_ms=None, detail=detail),)


def _object(answer: Answer, path: str) -> Mapping[str, object]:
    found = json_object(answer.text)
    if found is None:
        raise NoAnswer(f"{path} is no JSON object")
    return found
