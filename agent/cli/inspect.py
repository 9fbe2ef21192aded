"""`streampilot inspect`: the agent's own rounds, a few of them, in a directory that is thrown away.

One look is not enough for a rate, so it scrapes for some seconds. What a rule could not judge in that time is said:
"silent" is not "healthy", and neither is what is over a limit for less long than its rule asks: it is looked at longer,
then said. The pages' durations are divided so that most of them fit into the look, and that is said.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

from agent.cli.complaint import COULD_NOT, FINDINGS, Complaint
from agent.cli.look import FULL_LOOK_S, findings_table
from agent.cli.show import money, number, put, put_json, rate, seconds, share, size, table, width, wrapped
from agent.collect.snapshot import ADMIN
from agent.loop.agent import Agent
from agent.loop.cluster_config import ClusterConfig
from agent.loop.config import AgentConfig, load
from agent.loop.fleet import make_fleet
from agent.loop.refused import Refused
from agent.loop.rounds import wait_for
from agent.model.clock import SystemClock
from agent.model.codec import to_json

LEAST_ROUNDS = 2
"""One look is no rate."""
TOPICS_SHOWN = 20
WITHIN_S = 0.5
"""A lag as old as the look itself, to within this, began before it."""


def inspect(config: str, flags: dict[str, Any], span_s: float, *, as_json: bool) -> int:
    """0 healthy, 1 findings, 2 could not look."""
    with tempfile.TemporaryDirectory(prefix="streampilot-inspect-") as directory:
        try:
            settings = load(config, os.environ, {**flags, "dir": directory})
            fleet = make_fleet(replace(settings, clusters=(_wanted(settings, flags),)), SystemClock())
        except Refused as refused:
            raise Complaint(refused.what, refused.next_step) from None
        try:
            report = asyncio.run(_look(fleet.agents[0], settings.scrape_interval_s, span_s))
        finally:
            fleet.close()
    put_json(report) if as_json else _print(report)
    if not report["looked"]:
        sys.stderr.write(f"streampilot: could not look: {report['reason']}\n")
        return COULD_NOT
    return FINDINGS if report["findings"] or _undecided(report["silences"]) else 0


def _wanted(settings: AgentConfig, flags: dict[str, Any]) -> ClusterConfig:
    """The cluster that the flags name, of those in the file; else the first, which the flags are about."""
    named = [each for each in settings.clusters if flags["cluster"] and each.name == flags["cluster"]]
    return (named or settings.clusters)[0]


async def _look(agent: Agent, every_s: float, span_s: float) -> dict[str, Any]:
    """Rounds for `span_s` seconds, fewer where they are slow, then everything known.

    A target that answered once has no rates yet, and a rule that sees something over its limit may want more looks than
    a slow cluster allowed in time: they are waited for, at most as long again.
    """
    never = asyncio.Event()
    clock = SystemClock()
    began = clock.monotonic()
    scale = agent.status()["time_scale"]
    if scale > 1:
        sys.stderr.write(
            f"a look of {span_s:g} s: the rules' durations are divided by {scale:g} (--seconds {FULL_LOOK_S:g}: by 1)\n"
        )
    due, n, first = began, 0, None
    answered: Counter[str] = Counter()

    def going_on() -> bool:
        unsure = 1 in answered.values() or any(silence.over for silence in agent.silences())
        return n < LEAST_ROUNDS or due - began <= span_s or (unsure and due - began <= 2 * span_s)

    while going_on():
        n += 1
        spent = clock.monotonic() - began
        sys.stderr.write(f"looking: round {n}, {spent:.0f} of {span_s:g} s, {len(agent.risks())} finding(s)\n")
        await agent.round()
        first = first or agent.looked_at
        answered.update(row["target"] for row in agent.sources() if row["up"])
        due = max(due + every_s, clock.monotonic())
        if going_on():
            await wait_for(never, due - clock.monotonic())
    return await asyncio.to_thread(_report, agent, first)


def _report(agent: Agent, first: datetime | None) -> dict[str, Any]:
    """As of the last round: on a busy machine its numbers would be too old for views of a moment later.

    `first`: the first round, before which nothing is known.
    """
    down = {row["target"]: row["reason"] for row in agent.sources() if row["up"] is False or row["reason"]}
    brokers = agent.view("broker", 60.0, agent.looked_at)
    return {
        "cluster": agent.status()["cluster"],
        "looked": bool(brokers),
        "reason": "" if brokers else "; ".join(f"{target}: {reason}" for target, reason in down.items()),
        "brokers": [
            {key: value for key, value in row.items() if key != "series"} for row in agent.overview()["brokers"]
        ],
        "topics": _topics(agent),
        "groups": _groups(agent, first),
        "usd_per_hour": agent.overview()["usd_per_hour"],
        "usd_notes": list(agent.rooms.meter.notes),
        "findings": to_json(agent.risks()),
        "silences": to_json(agent.silences()),
        "only_admin": all(row["target"] == ADMIN for row in agent.sources()),
        "missing": [{"source": target, "reason": reason} for target, reason in down.items()],
    }


def _topics(agent: Agent) -> list[dict[str, Any]]:
    """Largest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in agent.view("partition", 60.0, agent.looked_at):
        topic = found.setdefault(
            row["topic"],
            {
                "topic": row["topic"],
                "partitions": 0,
                "size_bytes": None,
                "records": None,
                "bytes_in_per_s": None,
                "bytes_out_per_s": None,
            },
        )
        topic["partitions"] += 1
        if row["size_bytes"] is not None:
            topic["size_bytes"] = (topic["size_bytes"] or 0.0) + row["size_bytes"]
        if row["log_end"] is not None:
            topic["records"] = (topic["records"] or 0) + row["log_end"] - (row["log_start"] or 0)
    for row in agent.view("partition_load", 60.0, agent.looked_at):
        for name in ("bytes_in_per_s", "bytes_out_per_s"):
            if row["topic"] in found and row[name] is not None:
                known = found[row["topic"]]
                known[name] = (known[name] or 0.0) + row[name]
    kept = [topic for topic in found.values() if not topic["topic"].startswith("__")]
    return sorted(kept, key=lambda topic: (-(topic["size_bytes"] or topic["records"] or 0), topic["topic"]))


def _groups(agent: Agent, first: datetime | None) -> list[dict[str, Any]]:
    """Most behind first. `lag_s_at_least`: it was behind when the look began, and for how long already nobody saw."""
    seen_s = (agent.looked_at - first).total_seconds() if first else 0.0
    found: dict[str, dict[str, Any]] = {}
    for row in agent.view("group_state", 60.0, agent.looked_at):
        known = {"group": row["group_id"], "state": row["state"], "members": row["members"]}
        found[row["group_id"]] = {**known, "lag_records": None, "lag_s": None, "lag_s_at_least": False}
    for row in agent.view("group_lag", 60.0, agent.looked_at):
        group = found.get(row["group_id"])
        if group is None or row["lag_records"] is None:
            continue
        group["lag_records"] = (group["lag_records"] or 0) + row["lag_records"]
        if row["lag_s"] is not None:
            group["lag_s"] = max(group["lag_s"] or 0.0, row["lag_s"])
            group["lag_s_at_least"] = group["lag_s"] > max(seen_s - WITHIN_S, 0.0)
    return sorted(found.values(), key=lambda group: (-(group["lag_records"] or 0), group["group"]))


def _print(report: dict[str, Any]) -> None:
    if report["brokers"]:
        put(f"cluster {report['cluster']}\n\n{_brokers(report['brokers'])}")
    if report["topics"]:
        put(f"\n{_topic_table(report['topics'][:TOPICS_SHOWN])}")
    if report["groups"]:
        put(f"\n{_group_table(report['groups'])}")
    if report["usd_per_hour"] is not None:
        put(f"\ncost {money(report['usd_per_hour'])} an hour, {money(730 * report['usd_per_hour'])} a month")
        for note in report["usd_notes"]:
            put(wrapped(note, width(), "  "))
    if report["looked"]:
        put("\n" + (findings_table(report["findings"], width()) if report["findings"] else "no findings"))
    if unsure := _undecided(report["silences"]):
        rows = [(silence["rule"], silence["reason"]) for silence in unsure]
        put(
            "\nseen, but not for long enough to be sure (look longer: --seconds):\n"
            + table(("rule", "what"), rows, columns=width())
        )
    waiting = [silence for silence in report["silences"] if silence["reason"].startswith(("needs", "no data"))]
    if waiting:
        rows = [(silence["rule"], silence["reason"]) for silence in waiting]
        put("\nnot judged in this look:\n" + table(("rule", "why"), rows, columns=width()))
    if report["only_admin"]:
        put("no metrics were read (--metrics URL for each broker): load, CPU and clients are not known")
    for gap in report["missing"]:
        put(f"could not read {gap['source']}: {gap['reason']}")


def _undecided(silences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is over a limit and was not seen often enough to be a finding."""
    return [silence for silence in silences if silence["over"]]


def _topic_table(topics: list[dict[str, Any]]) -> str:
    rows = [
        (
            topic["topic"],
            number(topic["partitions"]),
            size(topic["size_bytes"]),
            number(topic["records"]),
            rate(topic["bytes_in_per_s"]),
            rate(topic["bytes_out_per_s"]),
        )
        for topic in topics
    ]
    return table(
        ("topic", "partitions", "size", "records", "written", "read"),
        rows,
        right="partitions,size,records,written,read",
    )


def _group_table(groups: list[dict[str, Any]]) -> str:
    rows = [
        (
            group["group"],
            group["state"] or "-",
            number(group["members"]),
            number(group["lag_records"]),
            f"{'> ' if group['lag_s_at_least'] else ''}{seconds(group['lag_s'])}",
        )
        for group in groups
    ]
    return table(("group", "state", "members", "behind", "behind by"), rows, right="members,behind,behind by")


def _brokers(brokers: list[dict[str, Any]]) -> str:
    rows = [
        (
            str(broker["id"]),
            str(broker["zone"] or "-"),
            {True: "up", False: "down", None: "unknown"}[broker["up"]],
            rate(broker["bytes_in_per_s"]),
            rate(broker["bytes_out_per_s"]),
            share(broker["cpu_share"]),
            number(broker["leaders"]),
        )
        for broker in brokers
    ]
    return table(
        ("broker", "zone", "state", "written", "read", "cpu", "leaders"), rows, right="written,read,cpu,leaders"
    )
