"""`ask`, `audit verify`: questions, and the record of what was done."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agent.cli.complaint import FINDINGS
from agent.cli.remote import DEFAULT_AGENT, AgentUrl, AsJson, Named, Remote, TokenFile
from agent.cli.show import put, put_json, width, wrapped

audit = typer.Typer(help="The record of every action.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Adds `ask` and `audit`."""
    app.command("ask", help="A question in plain words; the answer cites its data.")(_ask)
    app.add_typer(audit, name="audit")


def _ask(
    question: Annotated[list[str], typer.Argument(help="For example: why is checkout lagging?")],
    cluster: Named = "",
    agent: AgentUrl = DEFAULT_AGENT,
    token_file: TokenFile = "",
    as_json: AsJson = False,
) -> int:
    asked = {"question": " ".join(question), **({"cluster": cluster} if cluster else {})}
    answer = Remote(agent, token_file).post("/api/ask", asked, timeout_s=120.0)
    if as_json:
        put_json(answer)
        return 0
    put(wrapped(str(answer["text"]), width()))
    for n, citation in enumerate(answer["citations"], 1):
        put(f"[{n}] {citation}")
    for note in answer["notes"]:
        sys.stderr.write(f"{note}\n")
    return 0


@audit.command("verify", help="Check the audit log's hash chain; exits 1 when it was changed.")
def _verify(agent: AgentUrl = DEFAULT_AGENT, as_json: AsJson = False) -> int:
    found = Remote(agent).get("/api/audit")
    if as_json:
        put_json(found)
    elif found["intact"]:
        put(f"the audit log is intact; entries: {len(found['entries'])}")
    else:
        put(f"the audit log was changed: {found['reason']}")
    return 0 if found["intact"] else FINDINGS
