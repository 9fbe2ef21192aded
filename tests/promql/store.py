"""The generator's series, written into the agent's own store as a collector would: a round per instance and scrape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from agent.store.batch import Batch
from agent.store.samples import SampleStore
from tests.promql.demo_service import Series

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fill(store: SampleStore, series: Sequence[Series]) -> None:
    """All samples and stale markers, oldest first."""
    rounds: dict[int, list[tuple[int, float, bool]]] = defaultdict(list)
    for each in series:
        own = tuple(sorted(each.labels.items()))
        number = store.series_id("", each.labels["instance"], each.name, own)
        for at, value, stale in zip(each.times.tolist(), each.values.tolist(), each.stale.tolist(), strict=True):
            rounds[at].append((number, value, stale))
    for at in sorted(rounds):
        fresh = [(number, value) for number, value, stale in rounds[at] if not stale]
        batch = Batch(
            at=_EPOCH + timedelta(milliseconds=at),
            series=np.array([number for number, _ in fresh], dtype=np.int32),
            values=np.array([value for _, value in fresh]),
            ended=np.array([number for number, _, stale in rounds[at] if stale], dtype=np.int32),
        )
        if not store.write(batch):
            raise RuntimeError(f"the store dropped a round: {store.said[-1]}")
