"""Alibaba Cloud: `instance/spot/termination-time` is 404 until five minutes before the instance goes, then a time."""

from __future__ import annotations

from collections.abc import Sequence

from broker.spot.notice import INTERRUPTION, NoAnswer, Notice, instant_ms
from broker.spot.session import Session

_PATH = "/latest/meta-data/instance/spot/termination-time"


class Alibaba:
    source = "alibaba"
    every_s = 2.0

    def __init__(self, base: str) -> None:
        self.address = base
        self._session = Session(
            base, lasts="X-aliyun-ecs-metadata-token-ttl-seconds", token="X-aliyun-ecs-metadata-token"
        )

    async def look(self) -> Sequence[Notice]:
        answer = await self._session.get(_PATH)
        if answer is None:
            return ()
        deadline = instant_ms(answer.text)
        if deadline is None:
            raise NoAnswer(f"{_PATH} is no time")
        return (Notice(kind=INTERRUPTION, source=self.source, deadline_ms=deadline, detail="released"),)
