"""Live throughput: one line a broker, the newest point at the right edge."""

from __future__ import annotations

from collections.abc import Sequence

from textual_plot import HiResMode, LegendLocation, NumericAxisFormatter, PlotWidget

from tui.amounts import size
from tui.client import Picture
from tui.palette import broker_colour

POINTS = 60
LEGEND_LINES = 12
"""Lower than this, the legend would hide the lines; the table below names the brokers in the same colours."""


class _Rates(NumericAxisFormatter):
    """Ticks as `2.0 MiB`: at 1, 2 or 5 times a power of two, so that the labels are round in binary units."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 6) -> list[float]:
        step = 1024.0
        while max_ / step > max_ticks:
            step *= 2
        return [at * step for at in range(int(max_ / step) + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [size(tick) for tick in ticks]


class _Past(NumericAxisFormatter):
    """Ticks as `-60 s`: how long ago, by the scrape interval."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return ["now" if tick == 0 else f"{tick:.0f} s" for tick in ticks]


class Throughput(PlotWidget):
    """Bytes written per second, per broker."""

    def __init__(self) -> None:
        super().__init__(id="throughput", allow_pan_and_zoom=False)
        self.can_focus = False

    def on_mount(self) -> None:
        super().on_mount()
        self.border_title = "written per second, by broker"
        self.margin_left = 11
        self.set_y_formatter(_Rates())
        self.set_x_formatter(_Past())

    def show(self, picture: Picture) -> None:
        """Redraws the lines."""
        interval = float(picture.status.get("scrape_interval_s", 5.0))
        self.clear()
        top = 1024.0
        for position, broker in enumerate(picture.overview["brokers"]):
            series = broker["series"]["bytes_in_per_s"]
            points = [
                ((at - len(series) + 1) * interval, value) for at, value in enumerate(series) if value is not None
            ]
            top = max([top, *(value for _, value in points)])
            if len(points) > 1:
                self.plot(
                    x=[at for at, _ in points],
                    y=[value for _, value in points],
                    line_style=broker_colour(position),
                    hires_mode=HiResMode.BRAILLE,
                    label=f"broker {broker['id']}",
                )
        self.set_xlimits(-(POINTS - 1) * interval, 0.0)
        self.set_ylimits(0.0, top * 1.1)
        room = self.size.height >= LEGEND_LINES
        self.show_legend(LegendLocation.TOPLEFT, is_visible=room and bool(picture.overview["brokers"]))
