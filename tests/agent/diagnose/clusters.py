"""A cluster that a test bends by hand: it is a source of views, and time passes when the test says so."""

from datetime import UTC, datetime

from agent.diagnose.diagnosis import Diagnosis
from agent.model.clock import HandClock
from agent.model.ward import Ward
from agent.store.state import State
from rules import views
from rules.engine import NoData
from tests.rules.pages import built_in

WARD = Ward(cluster="demo")

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
MIB = 1024.0 * 1024


class Cluster:
    """Three even brokers until a test changes them. A view set to text is without data, for that reason."""

    def __init__(self, path, *, time_scale=1.0, pages=None, overrides=None, **told):
        self.clock = HandClock(START)
        self.age = 1e9
        self.rows = {view: [] for view in views.VIEWS}
        self.path, self.scale, self.pages, self.overrides = path, time_scale, pages, overrides
        self.told = told
        self.brokers(up=(0, 1, 2))
        self.load(2, 2, 2)
        self.restart()

    def restart(self):
        """A new agent on the same directory."""
        state = State(self.path / "state.sqlite")
        pages = self.pages or built_in()
        self.diagnosis = Diagnosis(pages, self, state, self.clock, self.scale, self.overrides, ward=WARD, **self.told)

    def fill(self, connection, view, at, window_s):
        rows = self.rows[view]
        if isinstance(rows, str):
            raise NoData(rows)
        if isinstance(rows, Exception):
            raise rows
        views.insert(connection, view, [{"cluster": "demo", "as_of": at, "window_s": window_s, **row} for row in rows])

    def age_s(self, view, at):
        return self.age

    def brokers(self, *, up=(), down=()):
        self.rows["broker"] = [
            {"resource": f"demo/broker/{n}", "broker": str(n), "up": n in up, "kind": "bundled"} for n in (*up, *down)
        ]

    def load(self, *mib_per_s):
        """MiB/s of brokers 0, 1, ...: four partitions each, of one topic that is even over them."""
        self.rows["broker_load"], self.rows["partition"], self.rows["partition_load"] = [], [], []
        for n, rate in enumerate(mib_per_s):
            self.rows["broker_load"].append(
                {"resource": f"demo/broker/{n}", "broker": str(n), "bytes_in_per_s": rate * MIB}
            )
            for k in range(4):
                name = {"resource": f"demo/topic/orders/{4 * n + k}", "topic": "orders", "partition": 4 * n + k}
                self.rows["partition"].append({**name, "leader": str(n), "replicas": [str(n)]})
                self.rows["partition_load"].append({**name, "bytes_in_per_s": rate * MIB / 4, "basis": "measured"})

    def after(self, seconds, step=10):
        """Rounds until `seconds` have passed; the last one."""
        for _ in range(int(seconds / step)):
            self.clock.wind(step)
            last = self.diagnosis.round()
        return last


def told(round_):
    """(rule, resource) of what a round tells."""
    return {(finding.rule, finding.resource) for finding in round_.findings}


def why(round_, rule):
    """The reason of a rule's silence."""
    return next(silence.reason for silence in round_.silences if silence.rule == rule)
