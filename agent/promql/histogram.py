"""histogram_quantile over the classic buckets (`le`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.promql.labels import NAME
from agent.promql.numbers import parse_bound
from agent.promql.values import Bools, Floats, Vector


def histogram_quantile(vector: Vector, quantile: Floats) -> Vector:
    """Each histogram's quantile, by interpolation inside a bucket; series without a valid `le` are left out."""
    bounds = [parse_bound(text) for text in vector.labels.texts("le")]
    usable = np.array([row for row, bound in enumerate(bounds) if bound is not None], dtype=np.intp)
    vector = vector.take(usable)
    bound = np.array([bounds[row] for row in usable], dtype=np.float64)
    labels = vector.labels.drop({"le", NAME})
    groups = labels.groups()
    order = np.lexsort((bound, groups.of))
    place = np.arange(len(order)) - np.searchsorted(groups.of[order], groups.of[order])
    shape = (groups.count, vector.values.shape[1])
    buckets = _Buckets(shape)
    for k in range(int(place.max(initial=-1)) + 1):
        rows = order[place == k]
        buckets.add(groups.of[rows], bound[rows], vector.values[rows], vector.present[rows])
    return Vector(
        labels=labels.take(groups.first), values=buckets.quantile(quantile), present=buckets.seen > 0
    ).compact()


class _Buckets:
    """The buckets of many histograms at all steps, the k-th of each at once; a missing bucket takes no place."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.seen = np.zeros(shape, dtype=np.int32)
        self._shape = shape
        self._bounds: list[Floats] = []
        self._counts: list[Floats] = []
        self._there: list[Bools] = []

    def add(self, groups: NDArray[np.intp], bound: Floats, counts: Floats, present: Bools) -> None:
        """The next bucket of some histograms; one with the bound of the last is added to it."""
        bounds, values, there = np.zeros(self._shape), np.zeros(self._shape), np.zeros(self._shape, dtype=np.bool_)
        bounds[groups], values[groups], there[groups] = bound[:, None], counts, present
        self._bounds.append(bounds)
        self._counts.append(values)
        self._there.append(there)
        self.seen += there

    def quantile(self, quantile: Floats) -> Floats:
        """What each histogram says; NaN for one that is no histogram."""
        bound, count, number = self._packed()
        q = np.broadcast_to(quantile[None, :], self._shape)
        last = np.maximum(number - 1, 0)
        total = _at(count, last)
        valid = (number >= 2) & np.isposinf(_at(bound, last)) & ~(total == 0) & ~np.isnan(q)
        rank = q * total
        found = last.copy()
        for k in range(len(count) - 1, -1, -1):
            found = np.where((k < last) & (count[k] >= rank), k, found)
        below = np.maximum(found - 1, 0)
        start = np.where(found > 0, _at(bound, below), 0.0)
        skipped = np.where(found > 0, _at(count, below), 0.0)
        end = _at(bound, found)
        inside = start + (end - start) * ((rank - skipped) / (_at(count, found) - skipped))
        result = np.where((found == 0) & (end <= 0), end, inside)
        result = np.where(found == last, _at(bound, np.maximum(last - 1, 0)), result)
        result = np.where(valid, result, np.nan)
        result = np.where(q < 0, -np.inf, result)
        return np.where(q > 1, np.inf, result)

    def _packed(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """(bucket, histogram, step) with the buckets that are there in front, bounds distinct, counts never falling."""
        size = max(len(self._bounds), 1)
        bound = np.full((size, *self._shape), np.nan)
        count = np.full((size, *self._shape), np.nan)
        number = np.zeros(self._shape, dtype=np.intp)
        for bounds, values, there in zip(self._bounds, self._counts, self._there, strict=True):
            again = there & (number > 0) & (_at(bound, np.maximum(number - 1, 0)) == bounds)
            number += there & ~again
            place = np.where(there, number - 1, 0)
            groups, steps = np.nonzero(there)
            spots = (place[groups, steps], groups, steps)
            held = np.where(again[groups, steps], count[spots], 0.0)
            bound[spots] = bounds[groups, steps]
            count[spots] = held + values[groups, steps]
        for k in range(1, size):
            count[k] = np.where(count[k] < count[k - 1], count[k - 1], count[k])
        return bound, count, number


def _at(cube: Floats, place: NDArray[np.intp]) -> Floats:
    result: Floats = np.take_along_axis(cube, place[None, :, :], axis=0)[0]
    return result
