"""The shapes of answers, for /openapi.json: what `to_json` writes, which is not checked again on the way out."""

from __future__ import annotations

from typing import Any


def answers(shape: Any, number: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with a shape, or a list of them."""
    return {number: {"model": shape}}
