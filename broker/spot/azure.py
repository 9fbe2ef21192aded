"""Azure: Scheduled Events. A Preempt comes at least 30 s before the machine goes, a Terminate minutes before.

The events of a whole scale set or availability set are told to each of its machines, so this one's name is asked for
first. Nothing is acknowledged: that would only make the platform go on at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker.spot.asking import Answer, ask
from broker.spot.notice import INTERRUPTION, NoAnswer, Notice, instant_ms, json_object, short

_NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
_EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
_TAKEN = ("Preempt", "Terminate")
_STANDING = ("Scheduled", "Started")
_ANSWER_S = 5.0
"""The first answer may take minutes, until the service is switched on; later ones are quick."""


class Azure:
    source = "azure"
    every_s = 1.0
    """As Azure asks for."""

    def __init__(self, base: str) -> None:
        self.address = base
        self._name = ""

    async def look(self) -> Sequence[Notice]:
        if not self._name:
            self._name = (await self._get(_NAME)).text.strip().lower()
            if not self._name:
                raise NoAnswer(f"{_NAME} is empty")
        found = [notice for event in _events(await self._get(_EVENTS)) if (notice := self._notice(event)) is not None]
        return found[:1]

    async def _get(self, path: str) -> Answer:
        answer = await ask("GET", f"{self.address}{path}", {"Metadata": "true"}, timeout_s=_ANSWER_S)
        if answer.status != 200:
            raise NoAnswer(f"{path} answers with status {answer.status}")
        return answer

    def _notice(self, event: object) -> Notice | None:
        if not isinstance(event, dict) or event.get("EventType") not in _TAKEN:
            return None
        concerned = event.get("Resources")
        names = [name.lower() for name in concerned if isinstance(name, str)] if isinstance(concerned, list) else []
        if self._name not in names or event.get("EventStatus") not in _STANDING:
            return None
        at = event.get("NotBefore")
        deadline = instant_ms(at) if isinstance(at, str) else None
        detail = short(str(event["EventType"]))
        return Notice(kind=INTERRUPTION, source=self.source, deadline_ms=deadline, detail=detail)


def _events(answer: Answer) -> list[object]:
    document = json_object(answer.text)
    events = document.get("Events") if document is not None else None
    if not isinstance(events, list):
        raise NoAnswer(f"{_EVENTS} has no list of Events")
    return events
