"""NO_COLOR: Textual greys every cell, and fails on the plot's, some of which have no style at all."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter, Monochrome


class Grey(Monochrome):
    """Textual's own filter, for cells without a style too."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return super().apply([Segment(text, style or Style()) for text, style, _ in segments], background)


def heeding(filters: Iterable[LineFilter]) -> list[LineFilter]:
    """The filters with Textual's replaced by the one above."""
    return [Grey() if type(each) is Monochrome else each for each in filters]
