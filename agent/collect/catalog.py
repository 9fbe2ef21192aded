"""What each stored series means, as columns indexed by its number: a window of samples is resolved by indexing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.collect.mapping import DIMENSIONS, resolve
from agent.store.samples import SampleStore


class Catalog:
    """The series of one cluster. Grows with the store; call `refresh` before use."""

    def __init__(self, store: SampleStore, cluster: str) -> None:
        self._store = store
        self._cluster = cluster
        self._generation = store.generation
        self._next = 0
        self.targets: list[str] = []
        self.brokers: dict[str, str] = {}
        """Target to the broker id its info metric gives."""
        self._target_numbers: dict[str, int] = {}
        self._clear()

    def _clear(self) -> None:
        self._next = 0
        self.measure: NDArray[Any] = np.empty(0, dtype=object)
        self.counter: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self.scale: NDArray[np.float64] = np.empty(0)
        self.target: NDArray[np.int32] = np.empty(0, dtype=np.int32)  # -1: no source names the series
        self.first_us: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.dimensions: dict[str, NDArray[Any]] = {name: np.empty(0, dtype=object) for name in DIMENSIONS}

    def refresh(self) -> None:
        """Resolves the series that are new since the last call."""
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._clear()
        rows = self._store.query(
            "SELECT id, target, name, map_keys(labels) AS keys, map_values(labels) AS vals, epoch_us(first_ts) AS born "
            "FROM series WHERE id >= $next AND cluster = $cluster ORDER BY id",
            {"next": self._next, "cluster": self._cluster},
        )
        if len(rows["id"]):
            self._add(rows)

    def _add(self, rows: Mapping[str, NDArray[Any]]) -> None:
        size = int(rows["id"][-1]) + 1
        self._grow(size)
        columns = zip(rows["id"].tolist(), rows["target"], rows["name"], rows["keys"], rows["vals"], strict=True)
        for number, target, name, keys, values in columns:
            labels = dict(zip(keys, values, strict=True))
            found = resolve(name, labels)
            if found is None:
                continue
            self.target[number] = self._target(target)
            self.measure[number] = found.measure
            self.counter[number] = found.counter
            self.scale[number] = found.scale
            for dimension, value in found.dimensions:
                self.dimensions[dimension][number] = value
            if found.measure == "broker_info":
                self.brokers[target] = labels["broker_id"]
        self.first_us[rows["id"]] = rows["born"]
        self._next = size

    def _grow(self, size: int) -> None:
        more = size - len(self.measure)
        blank = np.full(more, None, dtype=object)
        self.measure = np.concatenate([self.measure, blank])
        self.counter = np.concatenate([self.counter, np.zeros(more, dtype=np.bool_)])
        self.scale = np.concatenate([self.scale, np.ones(more)])
        self.target = np.concatenate([self.target, np.full(more, -1, dtype=np.int32)])
        self.first_us = np.concatenate([self.first_us, np.zeros(more, dtype=np.int64)])
        self.dimensions = {name: np.concatenate([column, blank]) for name, column in self.dimensions.items()}

    def _target(self, name: str) -> int:
        if name not in self._target_numbers:
            self._target_numbers[name] = len(self.targets)
            self.targets.append(name)
        return self._target_numbers[name]
