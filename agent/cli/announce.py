"""`streampilot announce`: tell a running agent of a deploy, a maintenance, a scaling or a spot notice."""

from __future__ import annotations

import getpass
from datetime import timedelta
from typing import Annotated

import typer

from agent.cli.remote import DEFAULT_AGENT, AgentUrl, AsJson, Named, Remote, TokenFile
from agent.cli.show import put, put_json


def register(app: typer.Typer) -> None:
    """Adds `announce`."""
    about = "Tell a running agent of a deploy, a maintenance, a note."
    app.command("announce", help=about)(_announce)


def _announce(
    kind: Annotated[str, typer.Argument(help="deploy, maintenance, scale, spot_notice or note.")],
    detail: Annotated[str, typer.Argument(help="What it is, in a few words.")] = "",
    resource: Annotated[str, typer.Option(help="broker/1, topic/T, ... (default: the whole cluster).")] = "",
    lasts: Annotated[str, typer.Option("--for", help="How long it lasts, as in 30m or 2h.")] = "",
    cluster: Named = "",
    agent: AgentUrl = DEFAULT_AGENT,
    token_file: TokenFile = "",
    as_json: AsJson = False,
) -> int:
    from agent.loop.units import seconds_of
    from agent.model.clock import SystemClock

    until = SystemClock().now() + timedelta(seconds=seconds_of(lasts, "--for")) if lasts else None
    body = {
        "kind": kind,
        "detail": detail,
        "resource": resource,
        "owner": getpass.getuser(),
        "until": until and until.isoformat(),
        **({"cluster": cluster} if cluster else {}),
    }
    told = Remote(agent, token_file, writes=True).post("/api/events", body)
    if as_json:
        put_json(told)
    else:
        quiet = f"; quiet until {told['quiet_until']} and ten minutes after" if told["quiet_until"] else ""
        put(f"announced {told['kind']} on {told['resource']}{quiet}")
    return 0
