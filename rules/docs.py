"""The rule pages as documentation: `docs/rules/` is made from the catalogue, and a check keeps it so."""

from __future__ import annotations

from collections.abc import Mapping

from rules import catalogue
from rules.page import RulePage, Step, Threshold
from rules.schema import LEVELS

MEANING = {
    "P0": "act now: the send and receive path, or data, is at risk",
    "P1": "act soon",
    "P2": "not best practice, or money",
}


def pages() -> Mapping[str, str]:
    """File name below `docs/rules/` to its text: an index, and one page per built-in rule."""
    known = catalogue.load()
    return {"README.md": index(known), **{f"{page.id}.md": rule(page) for page in known}}


def index(known: catalogue.Catalogue) -> str:
    lines = ["# The rules", "", "Generated from the pages in `rules/catalogue/`; `make docs` writes it.", ""]
    for level in LEVELS:
        chosen = [page for page in known if page.level == level]
        if chosen:
            lines += [
                f"## {level}: {MEANING[level]}",
                "",
                "| rule | what it says | about | action |",
                "|---|---|---|---|",
            ]
            lines += [f"| [{page.id}]({page.id}.md) | {page.title} | {page.scope} | {page.action} |" for page in chosen]
            lines.append("")
    return "\n".join(lines)


def rule(page: RulePage) -> str:
    """One rule for a reader: facts, prose, thresholds with their reasons, the query, and what its cases promise."""
    persist = f"{page.persist.hits} of {page.persist.of} looks, {_duration(page.every_s)} apart"
    facts = [
        f"# {page.id}: {page.title}",
        "",
        "Generated from its page in `rules/catalogue/`; `make docs` writes it.",
        "",
        f"- Level {page.level}: {MEANING[page.level]}.",
        f"- About a {page.scope}, on {', '.join(page.kinds)} clusters; action: {page.action}.",
        f"- Looks at {', '.join(f'`{view}`' for view in page.needs)} over {_duration(page.window_s)}.",
        f"- Fires after {persist}; silent for the first {_duration(page.min_age_s)} of data.",
    ]
    if page.explained_by:
        causes = ", ".join(f"{cause} ({relation})" for cause, relation in page.explained_by.items())
        facts.append(f"- Hidden as a consequence of: {causes}.")
    prose = [f"\n## {heading}\n\n{text.strip()}" for heading, text in page.prose.items()]
    table = ["\n## Thresholds\n", "| name | value | why |", "|---|---|---|"]
    table += [f"| `{name}` | {_value(threshold)} | {threshold.why} |" for name, threshold in page.thresholds.items()]
    query = ["\n## Query\n", "```sql", page.query, "```"]
    cases = ["\n## What its cases promise\n", *(_case(case.name, case.because, case.steps) for case in page.cases), ""]
    return "\n".join([*facts, *prose, *table, *query, *cases])


def _case(name: str, because: str, steps: tuple[Step, ...]) -> str:
    seen = f" ({len(steps)} steps)" if len(steps) > 1 else ""
    return f"- {name}{seen}{': ' + because if because else ''}."


def _value(threshold: Threshold) -> str:
    return f"`{threshold.value}`" if isinstance(threshold.value, str) else f"{threshold.value:,.10g}"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
