"""How long a step is waited for: while its copy grows, without end; while that stands still, not long."""

from __future__ import annotations

from agent.act.actions import Progress
from agent.act.guard import ActSettings
from agent.model.clock import Clock

PROGRESS_EVERY_S = 5.0
"""Each look at a copy asks every broker for the size of its log."""


class Watch:
    """One step's patience."""

    def __init__(self, clock: Clock, settings: ActSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._began = self._heard = self._grew = self._looked = clock.monotonic()
        self._deadline = self._began + settings.step_timeout_s
        self._copied: int | None = None
        self._text = self._silence = ""

    @property
    def spent_s(self) -> float:
        return self._clock.monotonic() - self._began

    def due(self, running: bool) -> bool:
        """Whether it is time to look how far the copy is."""
        if not running or self._clock.monotonic() - self._looked < PROGRESS_EVERY_S:
            return False
        self._looked = self._clock.monotonic()
        return True

    def told(self, progress: Progress) -> bool:
        """Whether this is news."""
        if progress.copied_bytes is not None and progress.copied_bytes != self._copied:
            self._copied, self._grew = progress.copied_bytes, self._clock.monotonic()
        news, self._text = progress.text != self._text, progress.text
        return news

    def answered(self, running: bool) -> None:
        """The cluster spoke; a change under way gets more time."""
        now = self._heard = self._clock.monotonic()
        self._silence = ""
        if running:
            longest = self._settings.move_timeout_s if self._copied is None else self._settings.stall_timeout_s
            self._deadline = min(now + self._settings.step_timeout_s, self._grew + longest)

    def silent(self, why: str) -> None:
        """Nobody answered, or not what was asked."""
        self._silence = why
        self._deadline = max(self._deadline, self._heard + self._settings.step_timeout_s)

    def over(self, *, running: bool) -> str:
        """Why there is no more time, to be said after how much there was; empty while there is."""
        if self._clock.monotonic() < self._deadline:
            return ""
        if self._silence:
            return f": {self._silence}"
        if running and self._copied is not None:
            return f": nothing was copied for {self._settings.stall_timeout_s:.0f} s ({self._text})"
        return ": the cluster is still at it" if running else ": nothing is under way any more"
