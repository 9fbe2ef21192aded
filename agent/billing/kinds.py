"""The kinds of bill that a configuration may name; apart from what reads them, which takes long to import."""

from __future__ import annotations

KINDS = ("focus", "cur", "cost-explorer", "alibaba")
SERVICES = frozenset({"cost-explorer", "alibaba"})
"""Behind an API with an address of its own: a URL is for another one."""
