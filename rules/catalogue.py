"""The pages there are: the built-in ones beside this file, and folders that users add."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rules import query, schema
from rules.errors import PageError, RuleError
from rules.page import RulePage, read

BUILT_IN = Path(__file__).parent / "catalogue"

Overrides = Mapping[str, Mapping[str, float | str]]
"""Rule id to threshold to its value, as `[rules.override."BAL-01"]` gives them."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    pages: tuple[RulePage, ...]
    """Sorted by id."""

    def __iter__(self) -> Iterator[RulePage]:
        return iter(self.pages)

    def __len__(self) -> int:
        return len(self.pages)

    def get(self, rule: str) -> RulePage:
        """The page of a rule; RuleError names the nearest where there is none."""
        for page in self.pages:
            if page.id == rule:
                return page
        raise RuleError(f"no rule `{rule}`; {schema.nearest(rule, [page.id for page in self.pages])}")


def load(
    paths: Iterable[Path | str] = (), *, disabled: Collection[str] = (), overrides: Overrides | None = None
) -> Catalogue:
    """The built-in pages and those under `paths` (files or folders), checked; `disabled` ones left out.

    PageError for the first page that does not fit; RuleError for a path that is not there, an id that comes twice, and
    a disabled or overridden rule or threshold that does not exist.
    """
    found: dict[str, RulePage] = {}
    for file in (*_files(BUILT_IN), *(file for path in paths for file in _files(Path(path)))):
        page = query.check(read(file))
        if page.id in found:
            raise PageError(page.source, 2, f"`{page.id}` is already the id of {found[page.id].source}; choose another")
        found[page.id] = page
    catalogue = Catalogue(pages=tuple(found[rule] for rule in sorted(found)))
    for rule in (*disabled, *(overrides or {})):
        catalogue.get(rule)
    for page in catalogue:
        _known_causes(page, found)
        check_overrides(page, (overrides or {}).get(page.id, {}))
    return Catalogue(pages=tuple(page for page in catalogue if page.id not in disabled))


def check_overrides(page: RulePage, overrides: Mapping[str, float | str]) -> None:
    """RuleError where a value is for no threshold of the page, or of another type."""
    for name, value in overrides.items():
        if name not in page.thresholds:
            raise RuleError(f"{page.id} has no threshold `{name}`; {schema.nearest(name, page.thresholds)}")
        if isinstance(value, bool) or isinstance(value, str) != isinstance(page.thresholds[name].value, str):
            wanted = "text" if isinstance(page.thresholds[name].value, str) else "a number"
            raise RuleError(f"{page.id}: threshold `{name}` is {value!r}; write {wanted}")


def _known_causes(page: RulePage, known: Mapping[str, RulePage]) -> None:
    for cause in page.explained_by:
        if cause not in known or cause == page.id:
            raise PageError(page.source, 2, f"`explained_by` names `{cause}`; {schema.nearest(cause, known)}")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RuleError(f"{path}: no such file or folder; `paths` of [rules] names rule pages or folders of them")
    return sorted(file for file in path.rglob("*.md") if file.name != "README.md")
