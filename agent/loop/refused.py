"""What the agent will not or cannot do: the thing, the number, the next step; shown as one line, or as JSON."""

from __future__ import annotations


class Refused(Exception):
    """`what` names the thing and the number, `next_step` what the person does now."""

    def __init__(self, what: str, next_step: str = "", *, number: int = 400) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.number = number
        """The HTTP status that fits."""

    def __str__(self) -> str:
        return f"{self.what}; {self.next_step}" if self.next_step else self.what
