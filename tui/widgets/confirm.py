"""The question before something changes: what, how many steps, and a plain yes or no."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.palette import ACCENT, INK, QUIET


class Confirm(ModalScreen[bool]):
    """Answers True on y, False on anything that means no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, title: str, details: str) -> None:
        self._title, self._details = title, details
        super().__init__()

    def compose(self) -> ComposeResult:
        body = Text(f"{self._title}\n\n", style=f"bold {INK}")
        body.append(f"{self._details}\n\n", style=INK)
        body.append(" y ", style=f"bold reverse {ACCENT}").append(" yes     ", style=INK)
        body.append(" n ", style=f"reverse {QUIET}").append(" no", style=QUIET)
        with Vertical(id="confirm"):
            yield Static(body)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
