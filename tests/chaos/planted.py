"""Bugs to plant: each breaks one law, so that the checker must find something. Only `launch` installs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plant:
    """`install` changes the product in this process, before it runs."""

    install: Callable[[], None]


PLANTS: dict[str, Plant] = {}
