"""Chat: a question in plain words; the answer comes from the data, with what it rests on."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from tui.palette import ACCENT, BAD, INK, QUIET

EXAMPLES = ("what is wrong?", "what would fix it?", "what does it cost?", "tell me about broker 0", "why is it slow?")


class Chat(Vertical):
    """The conversation, and a line to type in."""

    class Asked(Message):
        """A question was typed."""

        def __init__(self, question: str) -> None:
            self.question = question
            super().__init__()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="talk"):
            yield Static(_welcome(), classes="turn")
        yield Input(placeholder="ask about this cluster", id="question")

    def on_mount(self) -> None:
        self.query_one("#talk").border_title = "chat"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if not question:
            return
        event.input.clear()
        event.input.disabled = True
        self._add(_turn("you", question, ACCENT))
        self._add(Text("…", style=QUIET), id="waiting")
        self.post_message(self.Asked(question))

    def answer(self, text: str, citations: tuple[str, ...], *, failed: bool, shown: bool) -> None:
        """Shows what came back, and takes the next question; a person who looks at another screen is left there."""
        self.query("#waiting").remove()
        body = _turn("streampilot", text, BAD if failed else INK)
        for n, citation in enumerate(citations, 1):
            body.append(f"\n[{n}] {citation}", style=QUIET)
        self._add(body)
        field = self.query_one("#question", Input)
        field.disabled = False
        if shown:
            field.focus()

    def _add(self, body: Text, id: str | None = None) -> None:
        talk = self.query_one("#talk", VerticalScroll)
        talk.mount(Static(body, classes="turn", id=id))
        talk.scroll_end(animate=False)


def _turn(who: str, text: str, style: str) -> Text:
    return Text.assemble((f"{who}\n", f"bold {QUIET}"), (text, style))


def _welcome() -> Text:
    text = Text("Ask in plain words. Every number in an answer was read from the data.\n", style=INK)
    for example in EXAMPLES:
        text.append(f"\n  {example}", style=QUIET)
    return text
