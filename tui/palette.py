"""The colours, in one place: one dark theme, levels that differ in hue and in letter, and a colour per broker."""

from __future__ import annotations

from textual.theme import Theme

INK = "#d8dfe9"
QUIET = "#718096"
FAINT = "#3a4656"
ACCENT = "#4fd1c5"
GOOD = "#7bd88f"
WARN = "#f2b84b"
BAD = "#ff6b6b"
CALM = "#6ea8fe"

LEVELS = {"P0": BAD, "P1": WARN, "P2": CALM}
STATES = {
    "proposed": CALM,
    "approved": ACCENT,
    "executing": WARN,
    "verifying": WARN,
    "verified": GOOD,
    "failed": BAD,
    "rolled_back": QUIET,
    "expired": QUIET,
    "rejected": QUIET,
}
BROKERS = ("#4fd1c5", "#f2b84b", "#b794f6", "#6ea8fe", "#f687b3", "#9ae66e", "#fc8f5b", "#63c5f0")

THEME = Theme(
    name="streampilot",
    primary=ACCENT,
    secondary=QUIET,
    accent=ACCENT,
    foreground=INK,
    background="#0b0f14",
    surface="#10161e",
    panel="#161e28",
    success=GOOD,
    warning=WARN,
    error=BAD,
    dark=True,
    variables={
        "border": "#223041",
        "footer-background": "#10161e",
        "footer-key-foreground": ACCENT,
        "footer-description-foreground": QUIET,
        "input-selection-background": "#4fd1c5 30%",
        "block-cursor-background": "#1d3a3f",
        "block-cursor-foreground": INK,
        "block-cursor-text-style": "none",
        "scrollbar": "#223041",
        "scrollbar-hover": "#2d3f54",
        "scrollbar-active": "#4fd1c5",
        "scrollbar-background": "#0b0f14",
    },
)


def broker_colour(position: int) -> str:
    """Brokers keep the colour of their place in the list."""
    return BROKERS[position % len(BROKERS)]
