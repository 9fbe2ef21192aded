"""A risk in words, without a model: the page's prose around the finding's own numbers.

Every number that is not in the page's prose is a value of the finding or of its evidence. The template is one for all
pages, so a page that a user wrote gets words too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from agent.explain.text import cell, clean, money, number, paragraph, size, words
from agent.model.finding import Cell, Finding, Risk
from agent.model.resource import parts

MOST_FACTS = 8


class Page(Protocol):
    """What is read of `rules.page.RulePage`."""

    @property
    def prose(self) -> Mapping[str, str]: ...


class Explainer:
    """Explains risks with the pages they come from."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages

    def explain(self, risk: Risk) -> str:
        """Sections on a line each: what, the numbers, why, the money, what to do, how it could be wrong.

        Without level and rule: whoever shows it has them beside it, or puts them there with `headed`.
        """
        page = self._pages.get(risk.rule)
        prose = page.prose if page is not None else {}
        lines = [sentence(risk), f"Seen: {measured(risk.latest)}"]
        if facts := details(risk.latest):
            lines.append(f"Evidence: {facts}.")
        lines += [f"Why it matters: {paragraph(prose['Why it matters'])}"] if "Why it matters" in prose else []
        lines.append(f"Money: {cost(risk.latest)}")
        lines += [f"What to do:\n{prose['What to do'].strip()}"] if "What to do" in prose else []
        lines += [f"When this is wrong:\n{prose['When it is wrong'].strip()}"] if "When it is wrong" in prose else []
        return "\n".join(lines)


def name_of(resource: str) -> str:
    """`demo/topic/orders/3` as `topic orders, partition 3`."""
    _, kind, *names = parts(resource) if resource.count("/") >= 2 else ("", "resource", resource)
    if kind == "topic" and len(names) == 2:
        return f"topic {clean(names[0])}, partition {clean(names[1])}"
    return f"{kind} {clean('/'.join(names))}"


def sentence(risk: Risk) -> str:
    return f"{clean(risk.title)}: {name_of(risk.resource)}."


def headed(risk: Risk, text: str) -> str:
    """`text` with level and rule before it, where nothing else says them."""
    return f"{risk.level} {risk.rule}: {text}"


def measured(finding: Finding) -> str:
    """Observed against the limit, in the page's unit."""
    if finding.observed is None:
        return "no single number; see the evidence."
    shown, limit = (_in_unit(value, finding.unit) for value in (finding.observed, finding.limit))
    text = f"{shown} (limit {limit})." if finding.limit is not None else f"{shown}."
    return text if finding.confidence >= 1 else f"{text} Confidence {number(100 * finding.confidence)} %."


def _in_unit(value: float | None, unit: str) -> str:
    if value is None:
        return "unknown"
    if unit in ("bytes", "bytes/s", "bytes per second"):
        return size(value, "" if unit == "bytes" else "/s")
    return f"{number(value)} {clean(unit)}".strip()


def details(finding: Finding) -> str:
    """The page's own evidence columns, with units."""
    rows = finding.evidence[0].rows if finding.evidence else ()
    row: Mapping[str, Cell] = rows[0] if rows else {}
    known = [(name, value) for name, value in row.items() if name != "resource" and value is not None]
    return "; ".join(f"{words(name)} {cell(name, value)}" for name, value in known[:MOST_FACTS])


def cost(finding: Finding) -> str:
    if finding.usd_per_month is None:
        return f"none stated ({clean(finding.money_basis)})."
    return f"{money(finding.usd_per_month)} a month ({clean(finding.money_basis)})."
