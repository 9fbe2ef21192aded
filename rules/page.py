"""A rule page as data: front matter, prose, one query and its own cases.

`parse` reads the text and refuses what does not fit, with the file, the line and what to do about it. It does not run
the query; `rules.query.check` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rules import case_text, schema
from rules.errors import PageError
from rules.strict_yaml import Reader

SECTIONS = ("What it sees", "Why it matters", "When it is wrong", "What to do", "Query", "Cases")
_FENCE = re.compile(r"^```(\w+)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    value: float | str
    """Bound in the query as `$name`; a duration such as `10m` is in seconds, and no time scale divides it."""
    why: str


@dataclass(frozen=True, kw_only=True)
class Persist:
    """`hits` of the last `of` evaluations: true ones make a firing, and false ones its end.

    In between nothing changes, so a value that trembles at its limit opens one risk and not ten.
    """

    hits: int
    of: int

    def holds(self, history: Sequence[bool]) -> bool:
        """Whether the rule fires after these evaluations, oldest first."""
        return sum(history[-self.of :]) >= self.hits

    def cleared(self, history: Sequence[bool]) -> bool:
        """Whether it has been false for as long as it must be true to fire."""
        recent = history[-self.of :]
        return len(recent) - sum(recent) >= self.hits and not self.holds(history)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a case shows the rule, for a number of evaluations."""

    times: int | None
    """None: as many evaluations as `persist` looks at where the case has one step, else one."""
    views: Mapping[str, tuple[Mapping[str, Any], ...] | str]
    """View to its rows, or to the reason why it cannot be filled."""


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    line: int
    steps: tuple[Step, ...]
    expect: tuple[str, ...]
    because: str


@dataclass(frozen=True, kw_only=True)
class RulePage:
    id: str
    title: str
    level: str
    scope: str
    """What a row is about: broker, topic, partition, group, client, store or component."""
    kinds: tuple[str, ...]
    needs: tuple[str, ...]
    unit: str
    """Of `observed` and `limit`."""
    every_s: float
    window_s: float
    min_age_s: float
    persist: Persist
    thresholds: Mapping[str, Threshold]
    explained_by: Mapping[str, str]
    """Rule to relation: a risk of that rule, so related, hides this one as its consequence."""
    action: str
    query: str
    query_line: int
    cases: tuple[Case, ...]
    prose: Mapping[str, str]
    """Heading to Markdown, `Query` and `Cases` left out."""
    source: str
    """The file it came from, as given."""
    text: str

    def bind(self, overrides: Mapping[str, float | str] | None = None) -> dict[str, float | str]:
        """The values for the query's parameters."""
        changed = overrides or {}
        return {name: changed.get(name, threshold.value) for name, threshold in self.thresholds.items()}


def read(path: Path) -> RulePage:
    """The page in a file; PageError where it cannot be read or does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PageError(str(path), 1, f"cannot be read: {error}; make it a readable UTF-8 file") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> RulePage:
    """The page in `text`; `source` is named in every complaint."""
    front, body, body_line = _split(text, source)
    reader = Reader(source, line_offset=1)
    fields = schema.front_matter(reader.mapping(front, "the front matter"), reader)
    sections = _sections(body, body_line, source)
    query, query_line = _query(sections, source)
    thresholds = {name: Threshold(**raw) for name, raw in fields.pop("thresholds").items()}
    persist = Persist(**fields.pop("persist"))
    return RulePage(
        **fields,
        thresholds=thresholds,
        persist=persist,
        query=query,
        query_line=query_line,
        cases=_cases(sections, source),
        prose={name: body for name, (body, _) in sections.items() if name not in ("Query", "Cases")},
        source=source,
        text=text,
    )


def _split(text: str, source: str) -> tuple[str, str, int]:
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].strip() != "---":
        raise PageError(source, 1, "a rule page starts with `---` and its front matter")
    for n, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            return "".join(lines[1:n]), "".join(lines[n + 1 :]), n + 2
    raise PageError(source, 1, "the front matter is not closed; end it with a line `---`")


def _sections(body: str, first_line: int, source: str) -> dict[str, tuple[str, int]]:
    """Heading to its text and the line the text starts on."""
    found: dict[str, tuple[str, int]] = {}
    name, start, kept, fenced = "", first_line, [], False
    for n, line in enumerate([*body.splitlines(keepends=True), "## \n"], first_line):
        fenced ^= line.startswith("```")
        if fenced or not line.startswith("## "):
            kept.append(line)
            continue
        if name:
            found[name] = ("".join(kept), start)
        elif "".join(kept).strip():
            raise PageError(source, first_line, f"text before the first heading; put it under `## {SECTIONS[0]}`")
        name, start, kept = line[3:].strip(), n + 1, []
        if name in found:
            raise PageError(source, n, f"`## {name}` appears twice; keep one")
        if name and name not in SECTIONS:
            raise PageError(source, n, f"unknown heading `## {name}`; {schema.nearest(name, SECTIONS)}")
    if fenced:
        raise PageError(source, start, f"a fence under `## {name}` is not closed; end it with ```")
    for wanted in SECTIONS:
        if not found.get(wanted, ("", 0))[0].strip():
            raise PageError(source, first_line, f"`## {wanted}` is missing or empty; a page has {', '.join(SECTIONS)}")
    return found


def _query(sections: Mapping[str, tuple[str, int]], source: str) -> tuple[str, int]:
    text, line = sections["Query"]
    fences = [match for match in _FENCE.finditer(text) if match[1] == "sql"]
    if len(fences) != 1:
        raise PageError(source, line, f"`## Query` has {len(fences)} ```sql fences; it needs exactly one")
    return fences[0][2].strip(), line + text[: fences[0].start(2)].count("\n")


def _cases(sections: Mapping[str, tuple[str, int]], source: str) -> tuple[Case, ...]:
    text, line = sections["Cases"]
    cases = []
    for match in _FENCE.finditer(text):
        if match[1] != "yaml":
            continue
        start = line + text[: match.start(2)].count("\n")
        reader = Reader(source, line_offset=start - 1)
        for case in case_text.cases(reader.load(match[2], "a case"), reader):
            steps = tuple(Step(**step) for step in case.pop("steps"))
            cases.append(Case(**case, steps=steps))
    if not any(case.expect for case in cases) or all(case.expect for case in cases):
        raise PageError(source, line, "`## Cases` needs at least one case that fires and one that stays silent")
    return tuple(cases)
