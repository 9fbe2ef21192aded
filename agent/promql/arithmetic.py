"""The binary operators on numbers; which of them compare, and which keep the metric's name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.promql.values import Bools, Floats, Scalar, Vector

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}
SETS = frozenset({"and", "or", "unless"})
OPERATORS = frozenset(ARITHMETIC) | frozenset(COMPARISONS) | SETS


def numbers(op: str, left: Floats, right: Floats) -> Floats:
    """The operator on plain numbers; a comparison gives 0 or 1."""
    if op in COMPARISONS:
        return COMPARISONS[op](left, right).astype(np.float64)
    return ARITHMETIC[op](left, right)


def elements(
    op: str, left: Floats, right: Floats, kept: Floats, present: Bools, *, as_bool: bool
) -> tuple[Floats, Bools]:
    """The operator on elements of vectors: a comparison without `bool` keeps the elements of `kept` that meet it."""
    if op in COMPARISONS and not as_bool:
        return kept, present & COMPARISONS[op](left, right)
    return numbers(op, left, right), present


def with_scalar(op: str, vector: Vector, scalar: Scalar, *, swapped: bool, as_bool: bool) -> Vector:
    """Each element with the step's number; `swapped`: the number is on the left."""
    number = np.broadcast_to(scalar.values[None, :], vector.values.shape)
    left, right = (number, vector.values) if swapped else (vector.values, number)
    values, present = elements(op, left, right, vector.values, vector.present, as_bool=as_bool)
    result = Vector(labels=vector.labels, values=values, present=present)
    if op in COMPARISONS and not as_bool:
        return result.compact()
    return result.without_name()
