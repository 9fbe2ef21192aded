"""The text of a query as promql-parser's tree, bounded before it is parsed; and the tree's small print in our terms."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import promql_parser as tree

from agent.promql.errors import BadQuery, Unsupported
from agent.promql.query import Settings
from agent.promql.source import Matcher, Op

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`')
_OPERATOR = re.compile(r"[-+*/%^]|[=!<>]=?|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_OPS: dict[str, Op] = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def parse(text: str, settings: Settings) -> Any:
    """The tree of a query; BadQuery says what is wrong with it."""
    size = len(text.encode("utf-8", "replace"))
    if size > settings.most_query_bytes:
        raise BadQuery(f"a query of {size} bytes: at most {settings.most_query_bytes} are read")
    _check_depth(text, settings)
    try:
        return tree.parse(text)
    except ValueError as error:
        raise BadQuery(f"parse error: {error}") from error


def _check_depth(text: str, settings: Settings) -> None:
    """promql-parser recurses on the machine's stack: a chain of thousands of operators would end the process."""
    bare = _STRING.sub('""', text)
    operators = len(_OPERATOR.findall(bare))
    if operators > settings.most_operators:
        raise BadQuery(
            f"a query of {operators} operators: at most {settings.most_operators} are read; ask for its parts"
        )
    depth = deepest = 0
    for sign in bare:
        depth += (sign in "({[") - (sign in ")}]")
        deepest = max(deepest, depth)
    if deepest > settings.most_nesting:
        raise BadQuery(f"a query nested {deepest} deep: at most {settings.most_nesting} are read; ask for its parts")


def matchers_of(selector: Any) -> list[Matcher]:
    """A selector's conditions, the metric's name among them."""
    if selector.matchers.or_matchers:
        raise Unsupported("`or` between matchers is not supported; use a regular expression or the `or` operator")
    found = [Matcher(name=each.name, op=_OPS[str(each.op)], value=each.value) for each in selector.matchers.matchers]
    if selector.name:
        found.append(Matcher(name="__name__", op="=", value=selector.name))
    return found


def milliseconds(length: timedelta | None) -> int:
    """A duration; none is 0."""
    return 0 if length is None else length // _MILLISECOND


def pinned(at: Any, start_ms: int, end_ms: int) -> int | None:
    """What `@` says, in milliseconds; None without one."""
    if at is None:
        return None
    kind = str(at.type).rpartition(".")[2]
    if kind == "Start":
        return start_ms
    if kind == "End":
        return end_ms
    return (cast(datetime, at.at) - _EPOCH) // _MILLISECOND
