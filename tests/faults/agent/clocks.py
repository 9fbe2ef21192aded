"""The wall clock jumps a day back and two days ahead: no rate is negative, nothing is forgotten, nothing done twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from agent.collect.collector import Collector, Watch
from agent.collect.scrape import read_target
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.reading import Matcher, SeriesReader
from agent.store.samples import SampleStore
from rules.views import VIEWS
from tests.agent.collect.hand import HandAdmin, MetricsServer, broker_body
from tests.agent.rig import Rig
from tests.faults.agent.verdict import Verdict

START = datetime(2026, 11, 22, 16, 58, tzinfo=UTC)
JUMPS = (timedelta(days=-1), timedelta(days=2))
PATIENCE_S = 20.0
ENDS = frozenset({"verified", "failed", "rolled_back", "expired"})


def stepped(directory: Path, rounds: int = 30) -> Verdict:
    """A collector over real HTTP, with a jump after every so many rounds, and the views after each round."""
    clock = HandClock(START)
    store = SampleStore(directory, clock=clock)
    server, admin = MetricsServer(), HandAdmin(brokers=1)
    watch = Watch(cluster="c", targets=(read_target(server.url),))
    collector = Collector(watch, store, admin, clock=clock)
    source = StoreSource(store, "c")
    lowest, tick, sent, seen = np.inf, 0, 0, 0
    for jump in (timedelta(0), *JUMPS):
        clock.step(jump.total_seconds())
        for _ in range(rounds):
            tick += 1
            clock.wind(5)
            server.say(broker_body(0, tick, partitions=range(6)))
            admin.ends = {id: end + 50 for id, end in admin.ends.items()}
            sent += collector.round().samples
            lowest = min(lowest, _lowest_rate(source, clock.now()))
            seen += 1
        store.maintain(clock.now())
    ids = SeriesReader(store).series([Matcher(label="__name__", op="=~", value=".+")], 0, 4_000_000_000_000).ids
    first, last = (int((START + by).timestamp() * 1000) for by in (timedelta(days=-2), timedelta(days=4)))
    kept = len(SeriesReader(store).points(ids, first, last).values)
    steps = [line for line in store.said if "stepped by" in line]
    collector.close()
    store.close()
    server.stop()
    return Verdict(
        name="clocks",
        ok=bool(lowest >= 0 and kept == sent == store.stored and len(steps) == len(JUMPS)),
        figure=f"jumps of -1 d and +2 d: lowest of all rates in {seen} rounds {lowest:g}, {kept} of {sent} samples "
        "kept, both said",
    )


def _lowest_rate(source: StoreSource, at: datetime) -> float:
    found = [0.0]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view, column in (
            ("broker_load", "bytes_in_per_s"),
            ("partition_load", "bytes_in_per_s"),
            ("request_stats", "requests_per_s"),
            ("client_load", "bytes_per_s"),
        ):
            connection.execute(VIEWS[view].ddl)
            source.fill(connection, view, at, 60.0)
            (low,) = connection.execute(f"SELECT min({column}) FROM {view}").fetchone() or (None,)
            found.append(0.0 if low is None else low)
    return min(found)


async def acted(directory: Path) -> Verdict:
    """A whole agent whose plan is approved, with the jumps while it is carried out and after."""
    rig = Rig(directory)
    await rig.rounds(6)
    (plan,) = rig.agent.plans()
    rig.agent.approve(plan.id, by="ann", note="go")
    state, jumps, until = "", list(JUMPS), time.monotonic() + PATIENCE_S
    while time.monotonic() < until and state not in ENDS:
        await rig.rounds(1)
        state = rig.agent.plan(plan.id).state
        if jumps and rig.cluster.effects:
            rig.clock.step(jumps.pop(0).total_seconds())
    effects = len(rig.cluster.effects)
    for jump in [*jumps, *JUMPS]:
        rig.clock.step(jump.total_seconds())
        await rig.rounds(6)
    twice = len(rig.cluster.effects) - len({repr(effect) for effect in rig.cluster.effects})
    late = len(rig.cluster.effects) - effects
    intact = rig.agent.rooms.state.verify_audit() is None
    rig.fleet.close()
    return Verdict(
        name="actions",
        ok=effects > 0 and twice == 0 and late == 0 and intact and state in ENDS,
        figure=f"a plan ended {state}; {effects} changes to the cluster, {twice} of them twice, {late} after its end; "
        f"the audit chain is {'whole' if intact else 'broken'}",
    )
