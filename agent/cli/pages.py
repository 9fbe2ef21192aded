"""`rules list|show|test`: the pages of the catalogue, and a user's own."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.remote import AsJson

rules = typer.Typer(
    help="The rule pages: list them, read one, run their cases.", no_args_is_help=True, rich_markup_mode=None
)
Paths = Annotated[list[str], typer.Option("--path", help="A folder or page of your own rules; repeatable.")]


def register(app: typer.Typer) -> None:
    """Adds `rules`."""
    app.add_typer(rules, name="rules")


@rules.command("list", help="Every page: id, level, title.")
def _list(path: Paths = [], as_json: AsJson = False) -> int:  # noqa: B006
    from agent.cli.catalogue import list_pages

    return list_pages(path, as_json=as_json)


@rules.command("show", help="One page, as it is written.")
def _show(rule: Annotated[str, typer.Argument(help="A rule's id.")], path: Paths = []) -> int:  # noqa: B006
    from agent.cli.catalogue import show_page

    return show_page(rule, path)


@rules.command("test", help="Run the cases of all pages, or of some; exits 1 when one fails.")
def _test(
    targets: Annotated[list[str], typer.Argument(help="Rule ids, pages or folders.")] = [],  # noqa: B006
    path: Paths = [],  # noqa: B006
    as_json: AsJson = False,
) -> int:
    from agent.cli.catalogue import test_pages

    return test_pages(targets, path, as_json=as_json)
