"""Series written the short way, and an engine over them."""

import numpy as np

from agent.model.clock import SystemClock
from agent.promql.engine import Engine
from agent.promql.query import Settings
from tests.promql.demo_service import Series
from tests.promql.memory import MemorySource

STALE = "stale"


def series(name, labels, points):
    """`points`: second to value, or STALE."""
    return Series(
        name=name,
        labels=labels,
        times=np.array([round(at * 1000) for at in points], dtype=np.int64),
        values=np.array([np.nan if value == STALE else value for value in points.values()], dtype=np.float64),
        stale=np.array([value == STALE for value in points.values()], dtype=np.bool_),
    )


def every(seconds, values, first=0):
    """Evenly spaced points."""
    return {first + n * seconds: value for n, value in enumerate(values)}


def engine(*all_series, **settings):
    return Engine(source=MemorySource(all_series), clock=SystemClock(), settings=Settings(**settings))


def at(made, query, second):
    """Labels (as text) to value, at one time."""
    answer = made.instant(query, round(second * 1000))
    if answer["resultType"] == "scalar":
        return float(answer["result"][1])
    return {
        ",".join(f"{k}={v}" for k, v in each["metric"].items()): float(each["value"][1]) for each in answer["result"]
    }
