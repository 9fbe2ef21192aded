"""`rules list|show|test`: works without an agent; the pages are files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from agent.cli.complaint import FINDINGS, Complaint
from agent.cli.show import put, put_json, table, width
from rules import cases, catalogue
from rules.catalogue import Catalogue
from rules.errors import PageError, RuleError
from rules.page import RulePage


def list_pages(paths: Sequence[str], *, as_json: bool) -> int:
    """Every page, a line each."""
    pages = list(_load(paths))
    if as_json:
        put_json([_summary(page) for page in pages])
        return 0
    rows = [(page.id, page.level, page.scope, page.action, page.title) for page in pages]
    put(table(("rule", "level", "scope", "action", "title"), rows, columns=width()))
    return 0


def show_page(rule: str, paths: Sequence[str]) -> int:
    """The page's text, as it is written."""
    pages = _load(paths)
    try:
        put(pages.get(rule.upper()).text.rstrip())
    except RuleError as error:
        raise Complaint(str(error), "list them: streampilot rules list") from None
    return 0


def test_pages(targets: Sequence[str], paths: Sequence[str], *, as_json: bool) -> int:
    """Runs the cases; targets are rule ids, pages or folders."""
    files = [target for target in targets if Path(target).exists()]
    ids = [target.upper() for target in targets if target not in files]
    if gone := [target for target in targets if target not in files and ("/" in target or target.endswith(".md"))]:
        raise Complaint(f"no file or folder {gone[0]}", "name a rule, a page or a folder of pages")
    pages = _load([*paths, *files])
    try:
        named = [pages.get(id) for id in ids]
    except RuleError as error:
        raise Complaint(str(error), "list them: streampilot rules list") from None
    within = [page for page in pages if any(_is_in(page, Path(file)) for file in files)]
    results = [result for page in (*named, *within) or tuple(pages) for result in _run(page)]
    failed = [result for result in results if not result.passed]
    if as_json:
        put_json(
            [
                {"rule": one.rule, "case": one.case, "passed": one.passed, "line": one.line, "detail": one.detail}
                for one in results
            ]
        )
    else:
        for one in results:
            put(f"{'ok  ' if one.passed else 'FAIL'}  {one.rule}  {one.case}")
            if not one.passed:
                put(
                    f"      {one.source}:{one.line}: expected {one.expected or 'silence'}, got {one.fired or 'silence'}"
                )
                put(f"      {one.detail}")
        sys.stderr.write(f"{len(results) - len(failed)} of {len(results)} cases pass\n")
    return FINDINGS if failed else 0


def _run(page: RulePage) -> tuple[cases.CaseResult, ...]:
    try:
        return cases.run(page)
    except RuleError as error:
        raise Complaint(f"{page.source}: {error}", "correct the page's query") from None


def _load(paths: Sequence[str]) -> Catalogue:
    try:
        return catalogue.load(paths)
    except (PageError, RuleError) as error:
        raise Complaint(str(error), "correct the page and try again") from None


def _is_in(page: RulePage, path: Path) -> bool:
    return Path(page.source).resolve().is_relative_to(path.resolve())


def _summary(page: RulePage) -> dict[str, object]:
    return {
        "id": page.id,
        "title": page.title,
        "level": page.level,
        "scope": page.scope,
        "action": page.action,
        "needs": list(page.needs),
        "source": str(page.source),
    }
