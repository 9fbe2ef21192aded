"""`findings` and `inspect`: what is wrong, from a running agent or from one look."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.cli.complaint import FINDINGS
from agent.cli.remote import DEFAULT_AGENT, AgentUrl, AsJson, Named, Remote
from agent.cli.show import money, put, put_json, table, width, wrapped

ROUNDS = 20
SCRAPE_TIMEOUT_S = 10.0
"""Longer than an agent's: a JMX exporter on a busy broker takes seconds, and one look has no next round."""
FULL_LOOK_S = 200.0
"""What most pages need at their own pace: a minute of data and five looks half a minute apart.

A shorter look divides their durations.
"""


def register(app: typer.Typer) -> None:
    """Adds `inspect` and `findings`."""
    app.command("inspect", help="One look at any cluster; exit 0 healthy, 1 findings, 2 no look.")(_inspect)
    app.command("findings", help="What a running agent has found; exits 1 when something is open.")(_findings)


def _inspect(
    bootstrap_servers: Annotated[str, typer.Option(help="host:port[,host:port...] of the cluster.")],
    metrics: Annotated[list[str], typer.Option(help="A broker's /metrics: URL, or ID=URL; repeatable.")] = [],  # noqa: B006
    command_config: Annotated[str, typer.Option(help="Kafka's client.properties, for SASL and TLS.")] = "",
    bill: Annotated[str, typer.Option(help="FOCUS bill: a file or a directory.")] = "",
    cluster: Annotated[str, typer.Option(help="The cluster's name in resource ids.")] = "",
    config: Annotated[str, typer.Option(help="streampilot.toml (default: the one in this folder, if any).")] = "",
    seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds between the first and the last scrape.")
    ] = 20.0,
    as_json: AsJson = False,
) -> int:
    from agent.cli.inspect import inspect

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "metrics": list(metrics),
        "command_config": command_config,
        "bill": bill,
        "cluster": cluster,
        "scrape_timeout": f"{SCRAPE_TIMEOUT_S:g}s",
        "scrape_interval": f"{max(0.5, seconds / ROUNDS):g}s",
        "time_scale": max(1.0, FULL_LOOK_S / max(seconds, 1.0)),
    }
    return inspect(config, flags, seconds, as_json=as_json)


def _findings(
    every: Annotated[bool, typer.Option("--all", help="Resolved, muted and folded ones too.")] = False,
    cluster: Named = "",
    agent: AgentUrl = DEFAULT_AGENT,
    as_json: AsJson = False,
) -> int:
    found = Remote(agent).get("/api/findings", all=1 if every else None, cluster=cluster or None)
    if as_json:
        put_json(found)
    elif found:
        put(findings_table(found, width()))
    else:
        put("no findings")
    return FINDINGS if any(risk["state"] == "open" for risk in found) else 0


def findings_table(risks: list[dict[str, Any]], columns: int) -> str:
    """One line a risk, worst first, and its explanation under it, in so many columns."""
    lines = [
        (
            risk["level"],
            risk["rule"],
            risk["resource"],
            risk["state"],
            money(risk["latest"]["usd_per_month"]),
            risk["title"],
        )
        for risk in sorted(risks, key=lambda risk: (risk["level"], risk["first_seen"]))
    ]
    text = table(("level", "rule", "resource", "state", "a month", "title"), lines, right="a month", columns=columns)
    words = [
        f"\n{risk['level']} {risk['rule']}  {risk['resource']}  ({risk['id']})\n"
        + wrapped(risk["explanation"], columns, "  ")
        for risk in risks
        if risk["explanation"]
    ]
    return "\n".join([text, *words])
