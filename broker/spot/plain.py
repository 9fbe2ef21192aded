"""A URL of one's own, for clouds without an adapter and for node drains: 404 is none, 2xx with something in it is one.

The body may be a line of text, or JSON: {"kind": "interruption" or "rebalance", "deadline": RFC 3339, "detail": text},
all of which may be left out. Nothing, and JSON that is empty, null or false, is no notice; a web page is no answer,
since that is what a login page or a proxy would show.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker.spot.asking import ask
from broker.spot.notice import INTERRUPTION, REBALANCE, NoAnswer, Notice, instant_ms, parsed, short

_UNREADABLE = "\ufffd"
"""What stands for bytes that are no UTF-8."""


class Plain:
    source = "url"
    every_s = 2.0

    def __init__(self, url: str) -> None:
        self.address = url

    async def look(self) -> Sequence[Notice]:
        answer = await ask("GET", self.address, {"Accept": "application/json, text/plain"})
        if answer.status == 404:
            return ()
        if not 200 <= answer.status < 300:
            raise NoAnswer(f"it answers with status {answer.status}")
        if "html" in answer.headers.get("content-type", "").lower():
            raise NoAnswer("it answers with a web page")
        text = answer.text.strip()
        try:
            told = parsed(text) if text else None
        except ValueError:
            told = text
            if not all(char.isprintable() or char.isspace() for char in text.replace(_UNREADABLE, "\0")):
                raise NoAnswer("it answers with neither text nor JSON") from None
        return (_notice(told),) if told else ()


def _notice(told: object) -> Notice:
    said = told if isinstance(told, dict) else {"detail": told}
    kind = said.get("kind", INTERRUPTION)
    if kind not in (INTERRUPTION, REBALANCE):
        raise NoAnswer(f"kind {short(str(kind))!r} is neither {INTERRUPTION} nor {REBALANCE}")
    at, detail = said.get("deadline"), said.get("detail")
    return Notice(
        kind=kind,
        source=Plain.source,
        deadline_ms=instant_ms(at) if isinstance(at, str) else None,
        detail=short(detail) if isinstance(detail, str) else "",
    )
