"""What is stored is paid for: topics by their logs, and what no topic has, dead objects among it, by the store."""

import numpy as np

from agent.collect.usage import usage
from agent.collect.window import Window


def window(*rows: tuple[str, str | None, float]) -> Window:
    """Measure, topic and last value of each series, all of broker 0."""
    measures, topics, values = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    nothing = np.full(len(rows), None, dtype=object)
    columns = {"broker": np.full(len(rows), "0", dtype=object), "last": values.astype(float), "topic": topics}
    columns |= dict.fromkeys(("spot", "operation", "client_id", "rate"), nothing)
    return Window(measure=measures, broker=columns["broker"], columns=columns)


def stored(*rows: tuple[str, str | None, float]) -> dict[str, float]:
    nobody = {name: np.array([], dtype=object) for name in ("kind", "broker", "up", "instance_type")}
    return dict(usage("c", window(*rows), nobody, {}).stored_bytes)


def test_dead_objects_are_stored_until_they_are_swept() -> None:
    logs = (("log_size", "orders", 60.0), ("log_size", "clicks", 30.0), ("live_bytes", None, 100.0))
    assert stored(*logs) == {"c/topic/orders": 60, "c/topic/clicks": 30, "c/store/objects": 10}
    assert stored(*logs, ("dead_bytes", None, 7.0))["c/store/objects"] == 17


def test_what_waits_for_its_upload_is_stored_in_no_object() -> None:
    assert stored(("log_size", "orders", 60.0), ("live_bytes", None, 30.0), ("dead_bytes", None, 7.0)) == {
        "c/topic/orders": 30,
        "c/store/objects": 7,
    }
