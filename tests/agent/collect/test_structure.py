"""What the cluster looks like is read while a closed hour is rolled off, by another thread."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np

from agent.collect import structure
from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.samples import SampleStore

AT = datetime(2026, 11, 22, 22, 59, 58, tzinfo=UTC)


class TurningHour(SampleStore):
    """Another thread rolls the hour off as soon as somebody knows in which tables rows are."""

    turned: threading.Thread | None = None

    def relation(self, kind, since, until, **how):
        told = super().relation(kind, since, until, **how)
        if kind == "groups" and self.turned is None:
            self.turned = threading.Thread(target=self.maintain, args=(AT + timedelta(hours=1),))
            self.turned.start()
            self.turned.join(0.5)  # until it waits for the lock, or, were it not held, has dropped the table
        return told


def test_a_round_at_the_full_hour_reads_what_is_being_rolled_off(tmp_path):
    store = TurningHour(tmp_path, clock=HandClock(AT))
    row = {"cluster": "c", "group_id": "billing", "state": "Stable", "protocol": "range", "coordinator": "1"}
    columns = {name: np.array([value], dtype=object) for name, value in row.items()}
    columns["members"] = np.array([2], dtype=np.int32)
    none = np.array([], dtype=np.int32)
    store.write(Batch(at=AT, series=none, values=none.astype(np.float64), tables={"groups": columns}))
    found = structure.load(store, "c", AT + timedelta(seconds=3))
    assert found.groups["group_id"].tolist() == ["billing"]
    store.turned.join(60)
    assert store.tables() == set()
    assert structure.load(store, "c", AT + timedelta(seconds=3)).groups["group_id"].tolist() == ["billing"]
    store.close()
