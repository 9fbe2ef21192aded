"""What workers tell the screens. Workers post these and never touch a widget."""

from __future__ import annotations

from textual.message import Message

from tui.client import Costs, Picture


class Seen(Message):
    """A new picture."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        super().__init__()


class Priced(Message):
    """New amounts of money."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        super().__init__()


class Lost(Message):
    """The agent does not answer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__()


class Answered(Message):
    """A question was answered, or could not be."""

    def __init__(self, text: str, citations: tuple[str, ...], *, failed: bool = False) -> None:
        self.text = text
        self.citations = citations
        self.failed = failed
        super().__init__()


class Said(Message):
    """The outcome of something the person asked for."""

    def __init__(self, text: str, *, failed: bool = False) -> None:
        self.text = text
        self.failed = failed
        super().__init__()
