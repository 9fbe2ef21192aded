"""What a fault showed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    name: str
    ok: bool | None
    """None where the fault could not be made here."""
    figure: str

    def __str__(self) -> str:
        word = {True: "ok", False: "FAILED", None: "skipped"}[self.ok]
        return f"{self.name:<8} {word:<7} {self.figure}"
