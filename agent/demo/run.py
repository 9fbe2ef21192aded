"""One demo from nothing to nothing: cluster up, load on, the story (or the TUI), load off, read back, cluster down."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.demo import consume, produce, readback
from agent.demo.client import AgentClient
from agent.demo.cluster import BROKERS, LOG, NAME, Cluster, Ready
from agent.demo.flow import Flow, Told, Watch
from agent.demo.ledger import Records, Sent
from agent.demo.measure import Meter
from agent.demo.narrate import Narrator
from agent.demo.plant import draw
from agent.demo.produce import Progress
from agent.demo.readback import PATIENCE_S
from agent.demo.report import Outcome
from agent.demo.scenario import Plant, Scenario
from agent.demo.topics import create_topics
from agent.demo.workers import Worker, WorkerDied
from agent.model.clock import SystemClock

ATTEND_S = 5.0
"""How often the report looks while a person sits at the TUI."""


@dataclass(frozen=True, kw_only=True)
class Options:
    seed: int
    plants: tuple[Plant, ...]
    directory: Path
    time_scale: float
    attended: bool
    """Open the TUI and let the person act."""


def play(options: Options, narrator: Narrator) -> Outcome:
    """The whole demo; nothing that it started outlives it."""
    narrator.phase("cluster")
    narrator.say(f"starting {BROKERS} brokers in three zones and the agent (its lines: {options.directory / LOG})")
    with contextlib.ExitStack() as stack, _undisturbed_end():
        cluster = stack.enter_context(Cluster(options.directory, time_scale=options.time_scale))
        ready = cluster.ready()
        narrator.say(f"ready: kafka at {ready.bootstrap}, agent at {ready.agent}")
        scenario = draw(seed=options.seed, plants=options.plants, nodes=ready.nodes, cluster=NAME)
        agent = stack.enter_context(contextlib.closing(AgentClient(ready.agent)))
        create_topics(ready.bootstrap, scenario)
        _introduce(scenario, options, narrator)
        told, watch, sent = _under_load(options, narrator, cluster, ready, scenario, agent, stack)
        records = _read_back(narrator, ready.bootstrap, sent)
        narrator.phase("stopping")
    narrator.say("everything that was started is stopped")
    return Outcome(
        scenario=scenario,
        time_scale=options.time_scale,
        seconds=narrator.elapsed_s,
        attended=options.attended,
        risks=tuple(sorted(watch.seen.values(), key=lambda risk: (risk.first_seen, risk.rule, risk.resource))),
        plans=told.plans,
        refusals=told.refusals,
        load_before=told.load_before,
        load_after=told.load_after,
        records=records,
    )


@contextlib.contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Ends before what was started is stopped: from here on a second Ctrl-C must not leave anything running."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _introduce(scenario: Scenario, options: Options, narrator: Narrator) -> None:
    topics = ", ".join(traffic.topic for traffic in scenario.traffic)
    narrator.say(f"topics: {topics}; {scenario.bytes_per_s / 1e6:.1f} MB/s in all")
    if options.attended:
        return
    details = [f"{truth.plant}: {truth.detail}" for truth in scenario.truths]
    narrator.say("planted, unknown to the agent:" if details else "planted: nothing; the agent should find nothing")
    narrator.block(details)


def _under_load(
    options: Options,
    narrator: Narrator,
    cluster: Cluster,
    ready: Ready,
    scenario: Scenario,
    agent: AgentClient,
    stack: contextlib.ExitStack,
) -> tuple[Told, Watch, list[Sent]]:
    readers = stack.enter_context(Worker("consumers", consume.run, ready.bootstrap, scenario))
    writers = stack.enter_context(Worker("producers", produce.run, ready.bootstrap, scenario))
    meter = Meter(ready.metrics, SystemClock())
    watch = Watch(agent=agent, narrator=narrator)

    def beat() -> str:
        cluster.check(ready)
        progress, read = writers.latest(), readers.latest()
        if not isinstance(progress, Progress):
            return "clients are starting"
        failed = f", {progress.failed} failed ({progress.last_error})" if progress.failed else ""
        return f"{progress.records:,} records written{failed}, {read or 0:,} read"

    flow = Flow(
        agent=agent,
        narrator=narrator,
        scenario=scenario,
        meter=meter,
        watch=watch,
        time_scale=options.time_scale,
        beat=beat,
    )
    told = _attend(ready, flow) if options.attended else flow.run()
    narrator.phase("proof")
    narrator.say("stopping the load")
    sent = writers.stop()[-1]
    if not isinstance(sent, list):
        raise WorkerDied("the producers did not say what they had sent")
    watch.look()
    readers.stop()
    return told, watch, sent


def _attend(ready: Ready, flow: Flow) -> Told:
    """The TUI on the live cluster, until the person quits it; what it shows is also kept for the report."""
    command = [sys.executable, "-m", "agent.cli", "tui", "--agent", ready.agent]
    flow.watch.quiet = True
    loads = []
    with subprocess.Popen(command) as screen:
        try:
            while screen.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    screen.wait(ATTEND_S)
                flow.beat()
                flow.watch.look()
                loads.append(flow.meter.rates())
        finally:
            screen.terminate()
    plans = tuple(flow.agent.plans())
    after = loads[-1] if any(plan.approvals for plan in plans) else None
    return Told(plans=plans, refusals=(), load_before=loads[min(1, len(loads) - 1)], load_after=after)


def _read_back(narrator: Narrator, bootstrap: str, sent: list[Sent]) -> Records:
    acknowledged = sum(item.acknowledged for item in sent)
    narrator.say(f"reading {acknowledged:,} acknowledged records back, from each partition's first offset")

    def tell(message: object) -> None:
        if isinstance(message, int):
            narrator.say(f"{message:,} of {acknowledged:,} read back")

    with Worker("read-back", readback.run, bootstrap, sent) as reader:
        found = reader.rest(PATIENCE_S + 30.0, tell)
    records = found[-1] if found else None
    if not isinstance(records, Records):
        raise WorkerDied("the read-back ended without a result")
    narrator.say(
        f"{records.consumed:,} read back: {records.lost} lost, {records.duplicated} duplicated, "
        f"{records.out_of_order} out of order"
    )
    return records
