"""`make interop`: streampilot on a real Apache Kafka of three brokers. Exit 0 when every claim below holds.

1. `inspect` and the live agent show brokers, topics, groups, lag in seconds, and throughput per broker and topic.
2. A stopped consumer (LAG-02) and a broker that leads too much (BAL-01) are found under the same ids as elsewhere.
3. `--command-config` connects with SASL PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 over TLS, and with a client certificate.
4. A principal that may only describe gets a report on 5,000 partitions within 30 s that names what it may not see.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.interop import load, trio
from tests.interop.kafka import ROOT

TOPIC_COMMAND = "org.apache.kafka.tools.TopicCommand"
PARTITIONS = 5_000
WITHIN_S = 30.0
LOOK_S = 60
PATIENCE_S = 240.0
WARM_S = 2.0
"""An exporter's answer."""


class Claims:
    """What held and what did not, each said when it is known."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, claim: str, holds: bool, seen: Any = "") -> None:
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {claim}{f': {seen}' if seen != '' else ''}", flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", type=Path, help="directory for the cluster and its logs (default: thrown away)")
    given = options.parse_args()
    claim = Claims()
    with tempfile.TemporaryDirectory(prefix="streampilot-interop-") as scratch:
        directory = given.keep or Path(scratch)
        with trio.running(directory) as cluster:
            print(f"three brokers at {cluster.bootstrap()}", flush=True)
            for principal in ("User:describer", "User:CN=describer"):
                cluster.allow_to_describe(principal)
            with load.running(cluster.bootstrap()):
                _warmed(cluster)
                _inspected(claim, cluster)
                _watched(claim, cluster, directory)
            _connects(claim, cluster)
            _describes(claim, cluster)
    print(f"{'all claims hold' if not claim.failed else f'{claim.failed} claims do not hold'}")
    return 1 if claim.failed else 0


def _warmed(cluster: trio.Trio) -> None:
    """Returns once each exporter answers quickly: a JVM compiles the rules while it answers the first few times."""
    deadline = time.monotonic() + PATIENCE_S
    for broker in cluster.hosts:
        while True:
            began = time.monotonic()
            httpx.get(cluster.metrics(broker), timeout=60).raise_for_status()
            if (took := time.monotonic() - began) < WARM_S:
                break
            if began > deadline:
                print(f"broker {broker}'s exporter still takes {took:.1f} s: this machine is busy", flush=True)
                break


def inspect(cluster: trio.Trio, *flags: str, listener: str = "PLAIN", seconds: float = 4) -> tuple[float, Any]:
    """Wall time and the report of `streampilot inspect --json`."""
    targets = [flag for broker in cluster.hosts for flag in ("--metrics", cluster.metrics(broker))]
    command = ["inspect", "--bootstrap-servers", cluster.bootstrap(listener), "--json", "--seconds", f"{seconds:g}"]
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "agent.cli", *command, *(targets if not flags else ()), *flags],
        capture_output=True, text=True, timeout=300, cwd=ROOT, check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    if not run.stdout:
        raise RuntimeError(f"inspect printed nothing: {run.stderr[-1500:]}")
    return took, json.loads(run.stdout)


def _inspected(claim: Claims, cluster: trio.Trio) -> None:
    _, report = inspect(cluster, seconds=LOOK_S)
    rates = {broker["id"]: broker["bytes_in_per_s"] for broker in report["brokers"]}
    claim("inspect shows three brokers with their throughput", all(rates.values()) and len(rates) == 3, rates)
    topics = {topic["topic"]: topic for topic in report["topics"]}
    orders = topics.get(load.TOPIC, {})
    claim("inspect shows the topic's throughput and size", bool(orders.get("bytes_in_per_s") and orders["size_bytes"]),
          {key: orders.get(key) for key in ("bytes_in_per_s", "bytes_out_per_s", "size_bytes")})  # fmt: skip
    groups = {group["group"]: group for group in report["groups"]}
    stopped, live = groups.get(load.STOPPED, {}), groups.get(load.LIVE, {})
    claim("inspect shows lag in seconds", bool(stopped.get("lag_s")) and live.get("lag_s") is not None,
          {name: group.get("lag_s") for name, group in groups.items()})  # fmt: skip
    found = {(risk["rule"], risk["resource"].partition("/")[2]) for risk in report["findings"]}
    _found(claim, "inspect", found)
    claim("inspect could read everything", not report["missing"], report["missing"])


def _found(claim: Claims, who: str, found: set[tuple[str, str]]) -> None:
    claim(f"{who} finds the stopped consumer, LAG-02", ("LAG-02", f"group/{load.STOPPED}") in found)
    claim(f"{who} finds the skewed broker, BAL-01", ("BAL-01", "broker/1") in found)
    others = found - {("LAG-02", f"group/{load.STOPPED}"), ("BAL-01", "broker/1")}
    claim(f"{who} finds nothing else of level P0", not any(rule.startswith("AVL") for rule, _ in others), others)


def _watched(claim: Claims, cluster: trio.Trio, directory: Path) -> None:
    """The live agent, configured by a file: one target by host, one by id, one by host again."""
    file = directory / "streampilot.toml"
    targets = ", ".join(f'{{ url = "{cluster.metrics(broker)}" }}' for broker in cluster.hosts)
    file.write_text(
        f'[agent]\ndir = "{directory / "agent"}"\nlisten = "127.0.0.1:0"\ntime_scale = 2\n'
        f'scrape_interval = "10s"\nscrape_timeout = "20s"\n'
        f'[[cluster]]\nname = "kafka"\nbootstrap_servers = "{cluster.bootstrap("SASL")}"\n'
        f'command_config = "{cluster.properties("admin")}"\nmetrics = [{targets}]\n'
    )
    command = [sys.executable, "-m", "agent.cli", "agent", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as agent:
        try:
            assert agent.stdout is not None
            address = json.loads(agent.stdout.readline())["agent"]
            found = _until(lambda: _findings(address), {"LAG-02", "BAL-01"})
            _found(claim, "the live agent", {(rule, resource.partition("/")[2]) for rule, resource in found})
            for view, columns in VIEWS.items():
                rows = httpx.get(f"{address}/api/views/{view}", timeout=30).json()
                known = {name: sum(row[name] is not None for row in rows) for name in columns}
                claim(f"the live agent fills {view}", bool(rows) and all(known.values()), known)
            security = httpx.get(f"{address}/api/views/security", timeout=30).json()
            ends = [row["subject"] for row in security if row["check"] == "certificate" and row["expires_at"]]
            claim("the live agent sees when each broker's certificate ends", len(ends) == 3, ends)
        finally:
            agent.terminate()
            agent.wait(timeout=30)


VIEWS: Mapping[str, tuple[str, ...]] = {
    "broker_load": ("bytes_in_per_s", "bytes_out_per_s", "requests_per_s", "rss_bytes", "leaders", "connections"),
    "partition_load": ("bytes_in_per_s", "records_in_per_s"),
    "partition": ("leader", "size_bytes", "log_end"),
    "request_stats": ("requests_per_s", "p99_s"),
    "group_lag": ("lag_s", "lag_records", "retention_share"),
    "topic_config": ("value",),
    "broker_config": ("value",),
    "security": ("value",),
}


def _findings(address: str) -> set[tuple[str, str]]:
    return {(risk["rule"], risk["resource"]) for risk in httpx.get(f"{address}/api/findings", timeout=30).json()}


def _until(look: Callable[[], set[tuple[str, str]]], wanted: set[str]) -> set[tuple[str, str]]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if wanted <= {rule for rule, _ in found} or time.monotonic() > deadline:
            return found
        time.sleep(2)


def _connects(claim: Claims, cluster: trio.Trio) -> None:
    ways = [("SASL", "PLAIN"), ("SASL", "SCRAM-SHA-256"), ("SASL", "SCRAM-SHA-512"), ("MTLS", "")]
    for listener, mechanism in ways:
        user = "describer" if listener == "MTLS" else "admin"
        file = cluster.properties(user, listener=listener, mechanism=mechanism)
        _, report = inspect(cluster, "--command-config", str(file), listener=listener)
        how = "a client certificate" if listener == "MTLS" else f"{mechanism} over TLS"
        claim(f"--command-config connects with {how}", len(report["brokers"]) == 3, report["reason"])


def _describes(claim: Claims, cluster: trio.Trio) -> None:
    for n in range(2):
        cluster.tool(TOPIC_COMMAND, "--create", "--topic", f"many-{n}", "--partitions",
                     str(PARTITIONS // 2), "--replication-factor", "1")  # fmt: skip
    _until(lambda: {(name, "") for name in cluster.tool(TOPIC_COMMAND, "--list").split()}, {"many-0", "many-1"})
    flags = ("--command-config", str(cluster.properties("describer")))
    took, report = inspect(cluster, *flags, listener="SASL", seconds=10)
    seen = sum(topic["partitions"] for topic in report["topics"])
    claim(f"inspect of {PARTITIONS} partitions by one who may only describe takes at most {WITHIN_S:g} s",
          took <= WITHIN_S and seen >= PARTITIONS, f"{took:.1f} s, {seen} partitions")  # fmt: skip
    missing = {gap["source"]: gap["reason"] for gap in report["missing"]}
    named = {"admin/topic configs", "admin/broker configs", "admin/quotas"} <= missing.keys()
    claim("and names what it may not see", named and all("not allowed" in why for why in missing.values()), missing)


if __name__ == "__main__":
    sys.exit(main())
