"""YAML without its traps: every plain scalar means what it looks like, or is refused with its file and line.

Bare YAML turns `no` into false, `1:30` into 90, `010` into 8 and `{why: a, b}` into two keys. Pages are written by
hand and read by strangers, so each of these is an error here, and the message says what to write instead.
"""

from __future__ import annotations

import re

import yaml

from rules.errors import PageError

_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS = {"true": True, "false": False, "null": None, "~": None}
_TRAP_WORDS = frozenset({"y", "n", "yes", "no", "on", "off"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9_]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?\Z")
_ODD_NUMBER = re.compile(r"[-+]?(0[0-9_]+|0[xob][0-9a-fA-F_]+|\.[0-9]+|[0-9]+\.|\.inf|\.nan)\Z", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\Z")


class Reader:
    """Reads one YAML text of a page; `line_offset` is the number of lines of the file before it."""

    def __init__(self, source: str, line_offset: int) -> None:
        self.source = source
        self.line_offset = line_offset

    def refuse(self, node: yaml.Node, message: str) -> PageError:
        """The complaint about a node, for the caller to raise."""
        return PageError(self.source, self.line(node), message)

    def line(self, node: yaml.Node) -> int:
        return int(node.start_mark.line) + 1 + self.line_offset

    def load(self, text: str, what: str) -> yaml.Node:
        """The root node; anchors, tags and duplicate keys are refused where they are met."""
        try:
            node = self._composed(text, what)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = int(mark.line) + 1 + self.line_offset if mark else self.line_offset + 1
            problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
            raise PageError(
                self.source, line, f"{what} is not YAML: {problem}; quote the text, or indent it"
            ) from error
        if node is None:
            raise PageError(self.source, self.line_offset + 1, f"{what} is empty")
        return node

    def _composed(self, text: str, what: str) -> yaml.Node | None:
        """By libyaml where it is there, which takes an eighth of the time; what is wrong, in PyYAML's own words."""
        try:
            return self._composed_by(_FAST, text, what)
        except yaml.YAMLError:
            return self._composed_by(yaml.SafeLoader, text, what)

    def _composed_by(self, loader: type, text: str, what: str) -> yaml.Node | None:
        for token in yaml.scan(text, Loader=loader):
            if isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken | yaml.DirectiveToken):
                line = int(token.start_mark.line) + 1 + self.line_offset
                raise PageError(self.source, line, f"{what} uses an anchor, alias, tag or directive; write it out")
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
        return node

    def mapping(self, text: str, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The top level of `text`: key to its key node and value node."""
        return self.pairs(self.load(text, what), what)

    def pairs(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self.refuse(node, f"{what} must be `key: value` lines")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = self.text(key, "a key")
            if name in found:
                raise self.refuse(key, f"{what} has `{name}` twice; keep one")
            found[name] = (key, value)
        return found

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.refuse(node, f"{what} must be a list: [a, b], or lines that start with `-`")
        return list(node.value)

    def text(self, node: yaml.Node, what: str) -> str:
        """A scalar as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.refuse(node, f"{what} must be plain text")
        if not node.style and node.value.lower() in _TRAP_WORDS:
            raise self.refuse(node, f"{what} is a bare `{node.value}`, which YAML reads as true or false; quote it")
        return str(node.value)

    def quoted(self, node: yaml.Node, what: str) -> str:
        """A scalar that must be quoted (or a block), so that commas, colons and `no` stay text."""
        if not isinstance(node, yaml.ScalarNode) or not node.style:
            raise self.refuse(node, f'{what} must be quoted: "..."; bare YAML breaks at commas and colons')
        if not node.value.strip():
            raise self.refuse(node, f"{what} is empty; give the reason")
        return str(node.value)

    def scalar(self, node: yaml.Node, what: str) -> str | int | float | bool | None:
        if not isinstance(node, yaml.ScalarNode):
            raise self.refuse(node, f"{what} must be one value")
        if node.style or not node.value:
            return str(node.value) if node.style else None
        value = str(node.value)
        if value in _WORDS:
            return _WORDS[value]
        if value.lower() in _TRAP_WORDS or value.lower() in _WORDS:
            raise self.refuse(node, f"{what} is a bare `{value}`; write true or false, or quote it")
        if _SEXAGESIMAL.match(value):
            raise self.refuse(node, f"{what} is `{value}`, which YAML reads in base 60; write 90s or 2m, or quote it")
        if _ODD_NUMBER.match(value) or _DATE.match(value):
            raise self.refuse(
                node, f"{what} is `{value}`, which YAML versions read differently; quote it, or write it plainly"
            )
        if _INTEGER.match(value):
            return int(value)
        return float(value) if _FLOAT.match(value) else value
