"""`[[cluster]] bill`: a path or URL alone, or a table of kind, url, account and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from agent.billing.kinds import KINDS, SERVICES
from agent.loop.refused import Refused

KEYS = ("kind", "url", "account", "tags")


@dataclass(frozen=True, kw_only=True)
class BillConfig:
    kind: str = ""
    """One of KINDS; empty: files, whose columns tell."""
    url: str = ""
    account: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def bill_config(value: Any, source: str) -> BillConfig | None:
    """What `bill` says; Refused names what in it nobody knows."""
    if not value:
        return None
    if not isinstance(value, dict):
        return BillConfig(url=str(value))
    for key in value:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1, cutoff=0.0)
            raise Refused(f"{source}: unknown key cluster.bill.{key}", f"the nearest known one is {near[0]}")
    kind = str(value.get("kind", ""))
    if kind and kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1, cutoff=0.0)
        raise Refused(f"{source}: no bill is of kind {kind!r}", f"the nearest known one is {near[0]}")
    if not value.get("url") and kind not in SERVICES:
        raise Refused(f"{source}: cluster.bill has no url", "give a path, file://, s3://, gs:// or az://")
    tags = value.get("tags", {})
    if not isinstance(tags, dict):
        raise Refused(f"{source}: cluster.bill.tags is no table", 'write it like tags = { cluster = "prod" }')
    return BillConfig(
        kind=kind,
        url=str(value.get("url", "")),
        account=str(value.get("account", "")),
        tags={str(key): str(wanted) for key, wanted in tags.items()},
    )
