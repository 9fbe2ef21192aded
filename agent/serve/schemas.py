"""What routes have in common: the cluster that a call names, and the shapes of answers for /openapi.json."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

Named = Annotated[str, Query(max_length=249, description="one cluster's name; without it all, or the only one")]


def answers(shape: Any, number: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with a shape, or a list: what `to_json` writes is not checked again."""
    return {number: {"model": shape}}
