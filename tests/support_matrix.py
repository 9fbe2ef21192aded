"""Which rule can speak on which source: every page is run on what each source was recorded saying.

| | |
|---|---|
| works | the page judged at least one candidate: fired, or near, or far from it |
| estimated | the same, on bytes per partition that are split by the growth of logs |
| dormant | no candidate, or nothing known of any: the reason stands in the notes |

Rules on money need a bill or a price book, whatever the source, and are left out.
`python -m tests.support_matrix` writes `docs/sources-matrix.md` (`make docs` does), and a test compares it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from agent.collect.collector import Collector, Watch
from agent.collect.otlp import PROTOBUF, parse, read
from agent.collect.scrape import Target
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from rules import catalogue
from rules.engine import NoData, Workspace, candidate_rows
from rules.page import RulePage
from tests.agent.collect.hand import MetricsServer
from tests.interop import recording

BEGAN = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
NAMES = {
    "bundled": "bundled broker",
    "jmx-kafka-2_0_0": "Apache Kafka, exporter's kafka-2_0_0",
    "jmx-kafka-kraft-3_0_0": "Apache Kafka, exporter's kraft-3_0_0",
    "jmx-strimzi": "Apache Kafka, Strimzi's rules",
    "automq": "AutoMQ",
}
AUTOMQ = "automq"
"""Not recorded: what the bundled broker says under AutoMQ's names, and nothing else of it."""
AUTOMQ_MARKER = "kafka_stream_auto_balancer_metrics_time_delay_milliseconds 0\n"
MONEY = frozenset({"cost", "bill"})
PAGE = Path(__file__).resolve().parents[1] / "docs/sources-matrix.md"
WINDOW_S = 60.0


def sources() -> list[str]:
    """Those that were recorded, in the order of the table."""
    return [name for name in NAMES if (recording.SOURCES / _recorded(name) / "rounds.json.gz").exists()]


def _recorded(name: str) -> str:
    return "bundled" if name == AUTOMQ else name


def _said(name: str, body: str) -> str:
    if name != AUTOMQ:
        return body
    return AUTOMQ_MARKER + "".join(line for line in body.splitlines(keepends=True) if line.startswith("kafka_"))


@contextmanager
def replayed(name: str) -> Iterator[tuple[StoreSource, datetime]]:
    """The recording, played through a real collector over HTTP; and the instant of its last round."""
    admin, bodies = recording.RecordedAdmin(_recorded(name)), recording.bodies(_recorded(name))
    clock, pushes = HandClock(BEGAN), recording.pushes(_recorded(name))
    servers = {broker: MetricsServer() for broker in bodies}
    with tempfile.TemporaryDirectory(prefix="streampilot-replay-") as folder:
        store = SampleStore(Path(folder), clock=clock)
        targets = tuple(Target(url=server.url, broker=str(broker)) for broker, server in servers.items())
        collector = Collector(Watch(cluster="c", targets=targets, config_every_s=0), store, admin, clock=clock)
        try:
            before = 0.0
            for round, told in enumerate(admin.rounds):
                clock.wind(told["after_s"] - before)
                before = told["after_s"]
                admin.turn(round)
                for broker, server in servers.items():
                    server.say(_said(name, bodies[broker][round]))
                for body in pushes[round : round + 1]:
                    collector.pushed.take(read(parse(body, PROTOBUF), collector.pushed.limits))
                collector.round()
            configured = {target.url: str(target.broker) for target in targets}
            yield StoreSource(store, "c", interval_s=12, brokers=configured), clock.now() + timedelta(milliseconds=1)
        finally:
            collector.close()
            store.close()
            for server in servers.values():
                server.stop()


@cache
def judged(name: str) -> dict[str, tuple[str, str]]:
    """Rule to (works, estimated or dormant) and the reason, on one source."""
    with replayed(name) as (source, at), Workspace(source, at) as workspace:
        kind = next(iter(workspace.kinds(WINDOW_S).values()))
        split = any(row["basis"] == "estimated" for row in workspace.rows("partition_load", WINDOW_S))
        return {
            page.id: _judge(page, workspace, kind, split=split)
            for page in catalogue.load()
            if not MONEY & set(page.needs)
        }


def _judge(page: RulePage, workspace: Workspace, kind: str, *, split: bool) -> tuple[str, str]:
    if kind not in page.kinds:
        return "dormant", f"a rule for {', '.join(page.kinds)} clusters only"
    try:
        for view in page.needs:
            connection = workspace.materialise(view, page.window_s)
    except NoData as gap:
        return "dormant", gap.reason
    rows = candidate_rows(connection, page, page.bind(), 30.0)
    if not any(row["fired"] is not None for row in rows):
        empty = [view for view in page.needs if not workspace.rows(view, page.window_s)]
        return "dormant", f"no rows in {', '.join(empty)}" if empty else "what it compares is not known"
    return ("estimated" if split and "partition_load" in page.needs else "works"), ""


def page() -> str:
    """`docs/sources-matrix.md`."""
    found = {name: judged(name) for name in sources()}
    head = " | ".join(NAMES[name] for name in found)
    lines = [
        "# Which rule speaks on which source\n",
        "Generated from recorded exposition and admin looks (`tests/data/sources`); `make docs` writes it.\n",
        "- **works**: the rule judged at least one candidate.",
        "- **estimated**: the same, on bytes per partition that are split by the growth of logs.",
        "- **dormant**: it has nothing to judge, for the reason below.\n",
        "Rules on money need a bill or a price book, whatever the source.\n",
        f"| rule | {head} |",
        f"|---|{'---|' * len(found)}",
    ]
    if AUTOMQ in found:
        lines.insert(6, "AutoMQ was not recorded: its column is what the bundled broker says under AutoMQ's names.\n")
    notes: dict[str, list[str]] = {}
    for rule in sorted(next(iter(found.values()))):
        cells = [found[name][rule][0] for name in found]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
        for name in found:
            if reason := found[name][rule][1]:
                notes.setdefault(f"{rule}: {reason}", []).append(NAMES[name])
    lines.append("\n## Why dormant\n")
    lines += [f"- {what} ({'; '.join(where)})" for what, where in notes.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
