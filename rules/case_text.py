"""How a page's cases are written: YAML that stays short, read against the columns of the views.

    name: A broker with twice the mean fires
    steps:
      - broker_load:
          - {resource: demo/broker/0, bytes_in_per_s: 9 MiB}
        broker: "the admin client timed out"        # instead of rows: no data, and why
        times: 4                                    # evaluations it lasts
    expect: [demo/broker/0]

`cluster` and the key columns follow from `resource`; sizes may be written as `9 MiB`, times as `5m ago`; what a row
does not name is unknown (NULL). A case that expects nothing says why with `because`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import yaml

from rules import schema
from rules.strict_yaml import Reader
from rules.views import VIEWS, View

_KEYS = ("name", "steps", "expect", "because")
_SIZES = {"KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3, "TiB": 1024.0**4}
_SIZE = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?) (KiB|MiB|GiB|TiB)\Z")
_SUBJECTS = {
    "broker": ("broker",),
    "topic": ("topic", "partition"),
    "group": ("group_id",),
    "client": ("client_id",),
    "store": ("store",),
    "component": ("component",),
}
"""Kind of resource to the columns its names fill."""


def cases(node: yaml.Node, reader: Reader) -> list[dict[str, Any]]:
    """The cases of one fence: a mapping, or a list of them; fields as `rules.page.Case` has them."""
    nodes = reader.items(node, "a fence of cases") if isinstance(node, yaml.SequenceNode) else [node]
    return [_case(one, reader) for one in nodes]


def _case(node: yaml.Node, reader: Reader) -> dict[str, Any]:
    pairs = reader.pairs(node, "a case")
    for name, (key, _) in pairs.items():
        if name not in _KEYS:
            raise reader.refuse(key, f"a case has an unknown key `{name}`; {schema.nearest(name, _KEYS)}")
    for wanted in ("name", "steps", "expect"):
        if wanted not in pairs:
            raise reader.refuse(node, f"a case needs `{wanted}`")
    name = reader.text(pairs["name"][1], "the name of a case")
    if " " not in name.strip():
        raise reader.refuse(pairs["name"][1], f"the name of a case is a sentence; `{name}` is not")
    steps = tuple(_step(step, reader) for step in reader.items(pairs["steps"][1], "`steps`"))
    expect = tuple(reader.text(item, "a resource of `expect`") for item in reader.items(pairs["expect"][1], "`expect`"))
    because = reader.text(pairs["because"][1], "`because`") if "because" in pairs else ""
    if not steps:
        raise reader.refuse(pairs["steps"][1], "a case needs at least one step")
    if not expect and not because.strip():
        raise reader.refuse(node, "a case that expects [] says why: add `because`")
    return {"name": name, "line": reader.line(node), "steps": steps, "expect": expect, "because": because}


def _step(node: yaml.Node, reader: Reader) -> dict[str, Any]:
    times: Any = None
    views: dict[str, tuple[dict[str, Any], ...] | str] = {}
    for name, (key, value) in reader.pairs(node, "a step").items():
        if name == "times":
            times = reader.scalar(value, "`times`")
            if not isinstance(times, int) or isinstance(times, bool) or not 0 < times <= 1000:
                raise reader.refuse(value, "`times` is a number of evaluations from 1 to 1000")
        elif name not in VIEWS:
            raise reader.refuse(key, f"a step names an unknown view `{name}`; {schema.nearest(name, VIEWS)}")
        elif isinstance(value, yaml.ScalarNode):
            views[name] = reader.quoted(value, f"the reason why there is no data for `{name}`")
        else:
            views[name] = tuple(_row(row, VIEWS[name], reader) for row in reader.items(value, f"`{name}`"))
    return {"times": times, "views": views}


def _row(node: yaml.Node, view: View, reader: Reader) -> dict[str, Any]:
    pairs = reader.pairs(node, f"a row of `{view.name}`")
    for name, (key, _) in pairs.items():
        if name not in view.columns:
            near = schema.nearest(name, view.columns)
            raise reader.refuse(key, f"view `{view.name}` has no column `{name}`; {near}")
    if "resource" not in pairs:
        raise reader.refuse(node, f"a row of `{view.name}` needs its `resource`, in full: demo/{view.subject}/...")
    row = _subject(reader.text(pairs["resource"][1], "`resource`"), view)
    for name, (_, value) in pairs.items():
        row[name] = _value(value, name, view.columns[name], reader)
    return row


def _subject(resource: str, view: View) -> dict[str, Any]:
    """What a resource id says of its row: the cluster and the names."""
    cluster, kind, *names = [unquote(part) for part in resource.split("/")] if "/" in resource else (resource, "")
    row: dict[str, Any] = {"cluster": cluster}
    for column, name in zip(_SUBJECTS.get(kind, ()), names, strict=False):
        if column in view.columns:
            row[column] = int(name) if column == "partition" and name.isdigit() else name
    return row


def _value(node: yaml.Node, name: str, kind: str, reader: Reader) -> Any:
    what = f"`{name}`"
    if kind.endswith("[]"):
        return [reader.text(item, f"an item of {what}") for item in reader.items(node, what)]
    if kind == "VARCHAR":
        return None if _is_null(node) else reader.text(node, what)
    value = reader.scalar(node, what)
    if isinstance(value, str):
        value = _amount(value, kind, node, what, reader)
    if value is not None and kind == "BOOLEAN" and not isinstance(value, bool):
        raise reader.refuse(node, f"{what} is `{value}`; write true, false or null")
    if isinstance(value, bool) and kind != "BOOLEAN":
        raise reader.refuse(node, f"{what} is `{node.value}`; it is a {kind}")
    return value


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in ("", "null", "~")


def _amount(text: str, kind: str, node: yaml.Node, what: str, reader: Reader) -> Any:
    if kind in ("DOUBLE", "BIGINT") and (match := _SIZE.match(text)):
        return float(match[1]) * _SIZES[match[2]]
    if kind == "DOUBLE" and (seconds := schema.duration_s(text)) is not None:
        return seconds
    if kind == "TIMESTAMPTZ" and text.endswith(" ago") and schema.duration_s(text[:-4]) is not None:
        return text
    if kind == "DATE":
        return text
    raise reader.refuse(node, f"{what} is `{text}`; a {kind} is a number, a size like 9 MiB, or a time like 5m ago")
