"""What a command says when it cannot do what was asked: the thing, the number, the next step, in one line."""

from __future__ import annotations

COULD_NOT = 2
FINDINGS = 1


class Complaint(Exception):
    """Ends the command with one line on stderr and an exit code, never a traceback."""

    def __init__(self, what: str, next_step: str = "", code: int = COULD_NOT) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.code = code

    def line(self) -> str:
        """`streampilot: WHAT; NEXT`, on one line whatever the parts hold."""
        text = f"streampilot: {self.what}" + (f"; {self.next_step}" if self.next_step else "")
        return " ".join(text.split())
