"""`make interop-plans`: plans on a real Apache Kafka of three brokers, approved by hand. Exit 0 when each claim holds.

1. A broker that leads too much is found, and planned for: the plan says what is copied, how fast and how long.
2. `streampilot apply` moves under throttles that are set and gone again, within the rate, and it is verified.
   `streampilot rollback` brings the exact assignment back.
3. kill -9 of the broker that is copied to: the plan says whom it waits for, gives up, cancels the copy, and is taken
   back once the broker is there again.
4. kill -9 of the agent during a throttled copy: the next one goes on, no step runs twice, no throttle is left.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from agent.collect.admin import ClusterAdmin
from agent.collect.shapes import PartitionId
from agent.store.state import State
from tests.interop import load, trio
from tests.interop.kafka import ROOT, ended
from tests.interop.run import Claims

EXPORTER_RULES = ("example_kafka-kraft-3_0_0.yml",) * 3
RATE = 2 << 20
STALL_S = 45
PATIENCE_S = 600.0
DYNAMIC = {"DYNAMIC_BROKER_CONFIG", "DYNAMIC_TOPIC_CONFIG"}
BURST = 1.5
"""Kafka's throttle is a mean over ten seconds."""
SETTLED = {"verified", "failed", "rolled_back"}

Assignment = dict[PartitionId, tuple[int, ...]]


class Bench:
    """The cluster, the agent that watches it, and what a person would look at."""

    def __init__(self, cluster: trio.Trio, directory: Path) -> None:
        self.cluster = cluster
        self.admin = ClusterAdmin(cluster.bootstrap(), timeout_s=20.0)
        self.dir = directory / "agent"
        self.file = directory / "streampilot.toml"
        targets = ", ".join(f'{{ url = "{cluster.metrics(broker)}" }}' for broker in cluster.hosts)
        self.file.write_text(
            f'[agent]\ndir = "{self.dir}"\nlisten = "127.0.0.1:0"\n'
            f'scrape_interval = "10s"\nscrape_timeout = "30s"\n'
            f'[act]\nthrottle = "{RATE}"\nstall_timeout = "{STALL_S}s"\n'
            f'[[cluster]]\nname = "kafka"\nbootstrap_servers = "{cluster.bootstrap()}"\nmetrics = [{targets}]\n'
        )
        self.address = ""

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen[bytes]]:
        """The agent, until the block ends; its lines go to a file beside the configuration."""
        command = [sys.executable, "-m", "agent.cli", "agent", "--config", str(self.file)]
        with (
            self.file.with_suffix(".log").open("ab") as log,
            ended(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)) as process,
        ):
            assert process.stdout is not None
            self.address = json.loads(process.stdout.readline())["agent"]
            yield process

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of the CLI."""
        command = [sys.executable, "-m", "agent.cli", *words, "--agent", self.address]
        command += ["--token-file", str(self.dir / "token")]
        return subprocess.run(command, capture_output=True, text=True, timeout=1200, cwd=ROOT, check=False)

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.address}{path}", timeout=60).json()

    def plan(self, id: str) -> Any:
        return self.get(f"/api/plans/{id}")

    def proposed(self) -> str:
        """A plan that moves data, made on request."""

        def made() -> str:
            answer = json.loads(self.ask("plan", "--json").stdout or "{}")
            return next((plan["id"] for plan in answer.get("plans", []) if _copies(plan)), "")

        return str(until(made))

    def assignment(self) -> Assignment:
        return {(p.topic, p.partition): p.replicas for p in self.admin.topology().partitions}

    def throttles(self) -> dict[str, str]:
        """Everything that throttles replication now, by whom it is set on."""
        topics = self.admin.topic_configs([load.TOPIC])
        brokers = self.admin.broker_configs(self.cluster.hosts)
        return {
            f"{owner}/{name}": entry.value or ""
            for owner, entries in [*topics.items(), *brokers.items()]
            for name, entry in entries.items()
            if "replication.throttled" in name and entry.source in DYNAMIC
        }

    def copying(self) -> PartitionId | None:
        """A partition that is being copied under a throttle."""
        moving = [id for id, found in self.admin.list_reassignments().items() if found.adding]
        return moving[0] if moving and self.throttles() else None


def _copies(plan: Any) -> bool:
    return any(step["effort"] for step in plan["steps"])


def until(look: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What `look` finds, once it is anything; what it found last when time is up."""
    deadline = time.monotonic() + patience_s
    while True:
        found = look()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(2)


class Speed:
    """Watches copies from a thread: the largest mean rate over ten seconds, and which throttles were on."""

    WINDOW_S = 10.0

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.fastest = 0.0
        self.throttles: set[str] = set()

    def __enter__(self) -> Speed:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _watch(self) -> None:
        admin = ClusterAdmin(self._bench.cluster.bootstrap(), timeout_s=20.0)
        seen: dict[PartitionId, list[tuple[float, int]]] = {}
        while not self._stop.wait(2):
            for id, moving in admin.list_reassignments().items():
                at = time.monotonic()
                held = admin.replica_sizes(id, moving.adding)
                if not held:
                    continue
                self.throttles |= {name.partition("/")[2] for name in self._bench.throttles()}
                points = seen.setdefault(id, [])
                points.append((at, sum(held.values())))
                old = [point for point in points if at - point[0] >= self.WINDOW_S]
                if old:
                    self.fastest = max(self.fastest, (points[-1][1] - old[-1][1]) / (at - old[-1][0]))
        admin.close()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", type=Path, help="directory for the cluster and its logs (default: thrown away)")
    given = options.parse_args()
    claim = Claims()
    with tempfile.TemporaryDirectory(prefix="streampilot-plans-") as scratch:
        directory = given.keep or Path(scratch)
        with trio.running(directory, rule_files=EXPORTER_RULES) as cluster, ExitStack() as stack:
            print(f"three brokers at {cluster.bootstrap()}", flush=True)
            bench = Bench(cluster, directory)
            with load.running(cluster.bootstrap(), replicas=2, stopped=False):
                until(lambda: len(bench.assignment()) > len(load.OWNERS))
                before = bench.assignment()
                plan = _there_and_back(claim, bench, before)
                if plan:
                    _broker_killed(claim, bench, before, stack)
                    _agent_killed(claim, bench, before)
    print(f"{'all claims hold' if not claim.failed else f'{claim.failed} claims do not hold'}")
    return 1 if claim.failed else 0


def _there_and_back(claim: Claims, bench: Bench, before: Assignment) -> str:
    with bench.agent():
        until(lambda: "BAL-01" in {risk["rule"] for risk in bench.get("/api/findings")})
        found = [risk["resource"] for risk in bench.get("/api/findings") if risk["rule"] == "BAL-01"]
        claim("a broker that leads too much is found", bool(found), found)
        plan = bench.proposed()
        text = " ".join(bench.ask("plan", plan).stdout.split()) if plan else ""  # it was wrapped
        claim("the plan says what it copies, how fast, how long, and on which Kafka",
              all(word in text for word in ("Kafka id", "in all", "at most 2.0 MiB/s", "about")), text)  # fmt: skip
        if not plan:
            return ""
        began = time.monotonic()
        with Speed(bench) as speed:
            applied = bench.ask("apply", plan, "--yes", "--wait", "900")
        took = time.monotonic() - began
        claim("apply ends in a verified plan", applied.returncode == 0, f"{applied.stdout.strip()} ({took:.0f} s)")
        told = [line for line in applied.stderr.splitlines() if "copied" in line]
        claim("and tells how far each copy is", bool(told), told[-1:])
        claim("both throttles and both rates were on", len(speed.throttles) == 4, sorted(speed.throttles))
        claim(f"no copy was faster than {BURST:g} x the rate", 0 < speed.fastest <= BURST * RATE,
              f"{speed.fastest / RATE:.2f} x")  # fmt: skip
        claim("no throttle is left", not bench.throttles(), bench.throttles())
        back = bench.ask("rollback", plan, "--yes", "--wait", "900")
        claim("rollback brings the exact assignment back", back.returncode == 0 and bench.assignment() == before,
              back.stdout.strip())  # fmt: skip
        claim("and leaves no throttle", not bench.throttles(), bench.throttles())
    return plan


def _approved(bench: Bench) -> str:
    """A new plan that is being carried out, at a moment when it copies."""
    plan = bench.proposed()
    bench.ask("apply", plan, "--yes", "--wait", "0")
    until(bench.copying, 300)
    return plan


def _agent_killed(claim: Claims, bench: Bench, before: Assignment) -> None:
    with bench.agent() as agent:
        until(lambda: bench.get("/api/status")["ready"])
        plan = _approved(bench)
        agent.kill()
        agent.wait(10)
    claim("the agent is killed during a throttled copy", bench.copying() is not None, bench.throttles())
    with bench.agent():
        ended = until(lambda: (found := bench.plan(plan))["state"] in SETTLED and found, 900)
        claim("the next agent ends the plan", bool(ended) and ended["state"] == "verified", ended and ended["outcome"])
        claim("and leaves no throttle after it", not bench.throttles(), bench.throttles())
        bench.ask("rollback", plan, "--yes", "--wait", "900")
        claim("rollback brings the exact assignment back", bench.assignment() == before)
    state = State(bench.dir / "state.sqlite")
    entries = [entry for id, entry in state.all("journal").items() if id.startswith(f"{plan}/")]
    state.close()
    starts = [entry["step"] for entry in entries if entry["direction"] == "do" and entry.get("call") == "start"]
    done = {entry["step"] for entry in entries if entry["direction"] == "do" and "outcome" in entry}
    once = len(starts) == len(set(starts)) and done >= set(starts)
    claim("each step was called once, and is in the journal", once, f"{len(starts)} calls, {len(done)} steps done")


def _broker_killed(claim: Claims, bench: Bench, before: Assignment, stack: ExitStack) -> None:
    """The broker that is started again runs on in the `stack`."""
    with bench.agent():
        until(lambda: bench.get("/api/status")["ready"])
        plan = _approved(bench)
        moving = bench.admin.list_reassignments()
        (target,) = next(found.adding for found in moving.values() if found.adding)
        bench.cluster.kill(target)
        word = f"broker {target} does not answer, and is waited for"
        said = until(lambda: word in (text := bench.plan(plan)["outcome"]) and text, 120)
        claim("the plan says which broker its copy waits for", bool(said), said)
        failed = until(lambda: (found := bench.plan(plan))["state"] == "failed" and found, 600)
        text = failed["outcome"] if failed else ""
        claim("it gives up and cancels the copy", "nothing was copied" in text and "cancelled" in text, text)
        moving = bench.admin.list_reassignments()
        claim("nothing is copied any more", not moving, moving)
        stack.enter_context(bench.cluster.again(target))
        until(lambda: {b.id for b in bench.admin.topology().brokers} == set(bench.cluster.hosts))
        back = bench.ask("rollback", plan, "--yes", "--wait", "900")
        claim("with the broker back, rollback brings the exact assignment back",
              back.returncode == 0 and bench.assignment() == before, back.stdout.strip())  # fmt: skip
        until(lambda: not bench.throttles(), 120)
        claim("and no throttle is left anywhere", not bench.throttles(), bench.throttles())


if __name__ == "__main__":
    sys.exit(main())
