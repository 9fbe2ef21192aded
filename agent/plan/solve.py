"""Placement as a mixed-integer program, solved by HiGHS: the fewest moves for the best balance, a move has a price.

    minimise    1000 * sum(excess(b)) + busiest + price * moves          (all loads in units of the mean)
    busiest   >= load(b)                        for every live broker b
    excess(b) >= load(b) - aim * floor(b)       so that the aim comes first, whatever a move costs
    floor(b)   = the largest single partition that must stay on b, and at least 1: no move gets below it
    load(b)   = fixed(b) + what stays + what comes
    at most one new owner per partition; at most `cap` moves; `fewest(b)` partitions arrive at each broker of `fill`

Laws:
1. Same input, same answer: one thread, a fixed seed, items in the caller's order.
2. A time limit bounds it; the best answer found by then is used and `proved` is false.
3. A cluster too large for the exact model is thinned, never refused: the largest items of the fullest brokers, and the
   emptiest brokers as targets, are what can matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import highspy

Highs: Any = highspy.Highs  # its constructor has no annotations

EXACT_VARIABLES = 20_000
THINNED_TARGETS = 20
EXCESS_WEIGHT = 1000.0
BUSIEST = 0
"""The column of the busiest broker's load."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One partition that may move, or must."""

    key: tuple[str, int]
    load: float
    source: int | None
    """Its owner now; None for one that is offline and must be placed."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    fixed: Mapping[int, float]
    """Live broker to the load that cannot move."""
    items: tuple[Item, ...]
    targets: frozenset[int]
    """Brokers that may receive."""
    cap: int
    aim: float
    """Busiest over mean to get under."""
    price: float
    fewest: Mapping[int, int] = field(default_factory=dict)
    """Broker to the number of partitions that must arrive there."""
    floors: Mapping[int, float] = field(default_factory=dict)
    """Broker to its largest single partition that cannot move."""
    time_limit_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Solution:
    moves: Mapping[tuple[str, int], int]
    """Partition to its new owner; those that stay are not in it."""
    loads: Mapping[int, float]
    proved: bool


def mean_load(problem: Problem) -> float:
    return (sum(problem.fixed.values()) + sum(item.load for item in problem.items)) / max(len(problem.fixed), 1)


def solve(problem: Problem) -> Solution | None:
    """The best placement; None where the constraints contradict each other."""
    mean = mean_load(problem) or 1.0
    choices = _choices(problem)
    model: Any = Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("mip_rel_gap", 0.0)):
        model.setOptionValue(option, value)
    model.setOptionValue("time_limit", problem.time_limit_s)
    infinity = model.inf
    model.addCol(1.0, 0.0, infinity, 0, [], [])
    excess_of = {broker: 1 + at for at, broker in enumerate(sorted(problem.fixed))}
    for _ in excess_of:
        model.addCol(EXCESS_WEIGHT, 0.0, infinity, 0, [], [])
    column_of = {choice: 1 + len(excess_of) + at for at, choice in enumerate(choices)}
    for _ in choices:
        model.addCol(problem.price, 0.0, 1.0, 0, [], [])
    for column in column_of.values():
        model.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    _one_owner_each(model, problem, column_of)
    _broker_rows(model, problem, column_of, excess_of, mean)
    optional = [column for (at, _), column in column_of.items() if problem.items[at].source is not None]
    if optional:
        model.addRow(0.0, float(problem.cap), len(optional), optional, [1.0] * len(optional))
    model.run()
    status = model.getModelStatus()
    if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
        return None
    values = list(model.getSolution().col_value)
    if len(values) < 1 + len(excess_of) + len(choices):
        return None
    moves = {problem.items[at].key: target for (at, target), column in column_of.items() if values[column] > 0.5}
    return Solution(moves=moves, loads=loads(problem, moves), proved=status == highspy.HighsModelStatus.kOptimal)


def loads(problem: Problem, moves: Mapping[tuple[str, int], int]) -> dict[int, float]:
    """Each live broker's load once `moves` are made."""
    total = dict(problem.fixed)
    for item in problem.items:
        owner = moves.get(item.key, item.source)
        if owner is not None:
            total[owner] = total.get(owner, 0.0) + item.load
    return total


def _choices(problem: Problem) -> list[tuple[int, int]]:
    """(item, target) pairs the model may choose from."""
    items = list(range(len(problem.items)))
    targets = sorted(problem.targets)
    if len(items) * len(targets) > EXACT_VARIABLES:
        now = loads(problem, {})
        forced = set(problem.fewest)
        emptiest = sorted(targets, key=lambda broker: (broker not in forced, now[broker], broker))
        targets = sorted(emptiest[:THINNED_TARGETS])
        items = _thinned(problem, now)
    return [(at, target) for at in items for target in targets if problem.items[at].source != target]


def _thinned(problem: Problem, now: Mapping[int, float]) -> list[int]:
    fullest = sorted(now, key=lambda broker: (-now[broker], broker))[:THINNED_TARGETS]
    kept: list[int] = [at for at, item in enumerate(problem.items) if item.source is None]
    for broker in fullest:
        own = [at for at, item in enumerate(problem.items) if item.source == broker]
        own.sort(key=lambda at: (-problem.items[at].load, problem.items[at].key))
        kept += own[: problem.cap]
    return sorted(kept)


def _one_owner_each(model: Any, problem: Problem, column_of: Mapping[tuple[int, int], int]) -> None:
    by_item: dict[int, list[int]] = {}
    for (at, _), column in column_of.items():
        by_item.setdefault(at, []).append(column)
    for at, columns in by_item.items():
        fewest = 1.0 if problem.items[at].source is None else 0.0
        model.addRow(fewest, 1.0, len(columns), columns, [1.0] * len(columns))


def _broker_rows(
    model: Any,
    problem: Problem,
    column_of: Mapping[tuple[int, int], int],
    excess_of: Mapping[int, int],
    mean: float,
) -> None:
    now = loads(problem, {})
    changes: dict[int, dict[int, float]] = {broker: {} for broker in problem.fixed}
    for (at, target), column in column_of.items():
        item = problem.items[at]
        changes[target][column] = item.load / mean
        if item.source is not None:
            changes[item.source][column] = -item.load / mean
    for broker, change in sorted(changes.items()):
        floor = max(problem.floors.get(broker, 0.0) / mean, 1.0)
        for column, least in ((BUSIEST, 0.0), (excess_of[broker], problem.aim * floor)):
            columns, weights = [column, *change], [1.0, *(-weight for weight in change.values())]
            model.addRow(now[broker] / mean - least, model.inf, len(columns), columns, weights)
    for broker, fewest in sorted(problem.fewest.items()):
        columns = [column for (_, target), column in column_of.items() if target == broker]
        model.addRow(float(fewest), model.inf, len(columns), columns, [1.0] * len(columns))
