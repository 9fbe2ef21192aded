"""Commands that are whole applications of their own: opened by entry point, so that nothing here imports them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agent.cli.complaint import Complaint

GROUP = "streampilot.apps"
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    """Adds `broker`, `restore`, `tui` and `demo`."""
    app.command("broker", context_settings=_PASS_ON, help="Run one broker alone.")(_broker)
    app.command(
        "demo", context_settings=_PASS_ON, help="A live cluster with planted problems, diagnosed and repaired."
    )(_demo)
    app.command("restore", context_settings=_PASS_ON, help="A cluster's metadata, back from its bucket.")(_restore)
    app.command("tui", help="The screen: brokers, findings, plans, chat, cost.")(_tui)


def _broker(context: typer.Context) -> int:
    return open_app("broker", context.args)


def _restore(context: typer.Context) -> int:
    return open_app("restore", context.args)


def _demo(context: typer.Context) -> int:
    return open_app("demo", context.args)


def _tui(
    agent: Annotated[str, typer.Option(envvar="STREAMPILOT_AGENT", help="The agent's address.")] = "",
    token_file: Annotated[str, typer.Option(help="The token that approvals need (default: DIR/token).")] = "",
    cluster: Annotated[str, typer.Option(help="The cluster to begin with, where the agent watches several.")] = "",
) -> int:
    from agent.cli.remote import DEFAULT_AGENT, token_if_any

    address = agent or DEFAULT_AGENT
    token = token_if_any(address, token_file)
    return open_app("tui", ["--agent", address, "--cluster", cluster], {"STREAMPILOT_TOKEN": token} if token else {})


def open_app(name: str, arguments: list[str], environment: dict[str, str] | None = None) -> int:
    """Runs the application registered under `name` in this process, as if it had been called by its own command."""
    import os
    from importlib.metadata import entry_points

    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise Complaint(f"{name} is not installed here", "install streampilot again: make setup")
    try:
        start = found[0].load()
    except ImportError as error:
        raise Complaint(f"{name} cannot start: {error}", "install what is missing: make setup") from error
    sys.argv = [f"streampilot {name}", *arguments]
    os.environ.update(environment or {})
    outcome = start()
    return outcome if isinstance(outcome, int) else 0
