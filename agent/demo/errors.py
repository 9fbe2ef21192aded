"""What stops a demo before it can say anything: one line, naming the next step."""

from __future__ import annotations


class DemoError(Exception):
    """The demo could not run; `next_step` is what the reader can do."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


class ClusterFailed(DemoError):
    """`streampilot up` did not become ready, or died."""


class AgentRefused(DemoError):
    """The agent did not answer, or answered with an error."""
