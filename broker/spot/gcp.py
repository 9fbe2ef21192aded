"""Google Cloud: `instance/preempted` turns from FALSE to TRUE when Compute Engine takes the instance, 30 s before.

The server holds a question with `wait_for_change` until the value changes, so the notice comes at once; `last_etag`
closes the gap between two questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from broker.clock import Clock
from broker.spot.asking import ANSWER_S, ask
from broker.spot.notice import INTERRUPTION, NoAnswer, Notice

_PATH = "/computeMetadata/v1/instance/preempted"
_HOLD_S = 20
_WARNING_MS = 30_000
_FLAVOR = "Google"


class Gcp:
    source = "gcp"
    every_s = 1.0

    def __init__(self, base: str, clock: Clock) -> None:
        self.address = base
        self._clock = clock
        self._etag = ""
        self._deadline_ms: int | None = None

    async def look(self) -> Sequence[Notice]:
        held = f"?wait_for_change=true&timeout_sec={_HOLD_S}&last_etag={quote(self._etag)}" if self._etag else ""
        patience_s = ANSWER_S + (_HOLD_S if held else 0)
        self._etag = ""
        answer = await ask("GET", f"{self.address}{_PATH}{held}", {"Metadata-Flavor": _FLAVOR}, timeout_s=patience_s)
        value = answer.text.strip()
        if answer.status != 200 or answer.headers.get("metadata-flavor") != _FLAVOR or value not in ("TRUE", "FALSE"):
            raise NoAnswer(f"{_PATH} answers with status {answer.status} and neither TRUE nor FALSE of Google's")
        self._etag = answer.headers.get("etag", "")
        if value == "FALSE":
            self._deadline_ms = None
            return ()
        if self._deadline_ms is None:
            self._deadline_ms = self._clock.wall_ms() + _WARNING_MS
        return (Notice(kind=INTERRUPTION, source=self.source, deadline_ms=self._deadline_ms, detail="preempted"),)
