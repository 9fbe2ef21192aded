"""The table of brokers: aligned numbers, and a line of the last minutes."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.widgets import DataTable

from tui.amounts import count, percent, rate, size, sparkline
from tui.client import Picture
from tui.palette import BAD, GOOD, INK, QUIET, WARN, broker_colour

SPARK_CELLS = 24
BUSY_SHARE = 0.8


class Brokers(DataTable[Text]):
    """One row a broker."""

    TITLES = (
        "broker",
        "zone",
        "state",
        "written",
        "read",
        "requests",
        "cpu",
        "memory",
        "conns",
        "leaders",
        "last points",
    )
    LEFT = frozenset({"broker", "zone", "state", "last points"})

    def __init__(self) -> None:
        super().__init__(id="brokers", cursor_type="row", zebra_stripes=False)

    def on_mount(self) -> None:
        self.border_title = "brokers"
        for title in self.TITLES:
            self.add_column(Text(title, style=QUIET, justify="left" if title in self.LEFT else "right"), key=title)

    def show(self, picture: Picture) -> None:
        """Rewrites the rows, with the cursor where it was."""
        row = self.cursor_row
        brokers = picture.overview["brokers"]
        top = max((v for broker in brokers for v in broker["series"]["bytes_in_per_s"] if v is not None), default=0.0)
        self.clear()
        for position, broker in enumerate(brokers):
            self.add_row(*_cells(broker, broker_colour(position), top), key=broker["id"])
        if brokers:
            self.move_cursor(row=min(row, len(brokers) - 1))


def _cells(broker: dict[str, Any], colour: str, top: float) -> list[Text]:
    up, cpu = broker["up"], broker["cpu_share"]
    state = {True: ("● up", GOOD), False: ("● down", BAD), None: ("○ unknown", WARN)}[up]
    numbers = (
        rate(broker["bytes_in_per_s"]),
        rate(broker["bytes_out_per_s"]),
        f"{count(broker['requests_per_s'])}/s",
        percent(cpu),
        size(broker["rss_bytes"]),
        count(broker["connections"]),
        count(broker["leaders"]),
    )
    cells = [Text(f"■ {broker['id']}", style=f"bold {colour}"), Text(broker["zone"] or "–", style=INK), Text(*state)]
    cells += [Text(number, style=INK, justify="right") for number in numbers]
    if cpu is not None and cpu > BUSY_SHARE:
        cells[6].stylize(WARN)
    return [*cells, Text(sparkline(broker["series"]["bytes_in_per_s"], SPARK_CELLS, top), style=colour)]
