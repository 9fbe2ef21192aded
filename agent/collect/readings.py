"""Numbers that the agent derives while it collects: offsets, lag in seconds, restarts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from agent.collect.changes import Event
from agent.collect.offsets import OffsetHistory
from agent.collect.scrape import Scrape
from agent.collect.snapshot import ADMIN, AdminLook
from agent.model.resource import resource_id
from agent.store.samples import Labels, SampleStore

Readings = tuple[NDArray[np.int32], NDArray[np.float64]]
RESTART_SECONDS = 2.0
"""Two start times closer than this are one start."""


def admin_readings(
    store: SampleStore, cluster: str, at: datetime, looked: AdminLook, history: OffsetHistory
) -> Readings:
    """Samples of an admin look: log ranges, committed offsets, lag in seconds, and each topic's read age."""
    names: list[tuple[str, Labels]] = []
    values: list[float] = []
    for (topic, partition), span in looked.ranges.items():
        labels = (("partition", str(partition)), ("topic", topic))
        names += [("admin_log_start", labels), ("admin_log_end", labels)]
        values += [span.start, span.end]
        if span.last_stable is not None:
            names.append(("admin_last_stable", labels))
            values.append(span.last_stable)
    if looked.ranges:
        history.add(at.timestamp(), {id: span.end for id, span in looked.ranges.items()})
    _add_lag(at, looked, history, names, values)
    series = [store.series_id(cluster, ADMIN, name, labels) for name, labels in names]
    return np.array(series, dtype=np.int32), np.array(values, dtype=np.float64)


def _add_lag(
    at: datetime, looked: AdminLook, history: OffsetHistory, names: list[tuple[str, Labels]], values: list[float]
) -> None:
    rows = [
        (group, id, offset)
        for group, offsets in looked.committed.items()
        for id, offset in offsets.items()
        if id in looked.ranges
    ]
    ages = history.ages(at.timestamp(), [row[1] for row in rows], [row[2] for row in rows])
    oldest: dict[str, float] = {}
    for (group, (topic, partition), offset), age in zip(rows, ages.tolist(), strict=True):
        labels = (("group", group), ("partition", str(partition)), ("topic", topic))
        names.append(("admin_committed", labels))
        values.append(offset)
        if age == age:  # not NaN
            names.append(("agent_lag_seconds", labels))
            values.append(age)
            oldest[topic] = max(age, oldest.get(topic, 0.0))
    for topic, age in oldest.items():
        names.append(("agent_read_age_seconds", (("topic", topic),)))
        values.append(age)


def restarts(
    cluster: str, scrapes: list[Scrape], store: SampleStore, began: dict[str, float], brokers: Mapping[str, str]
) -> list[Event]:
    """A `broker_restarted` per target whose process start time moved; `began` remembers them."""
    events = []
    for scrape in scrapes:
        if scrape.scraped is None:
            continue
        name = scrape.target.name
        number = store.series_id(cluster, name, "process_start_time_seconds", ())
        found = np.flatnonzero(scrape.scraped.series == number)
        if not len(found):
            continue
        started = float(scrape.scraped.values[found[0]])
        before = began.get(name)
        began[name] = started
        if before is not None and started - before > RESTART_SECONDS:
            resource = resource_id(cluster, "broker", brokers.get(name, name))
            events.append(Event(resource=resource, kind="broker_restarted", source="metrics", detail=name))
    return events
