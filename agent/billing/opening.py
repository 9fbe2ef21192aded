"""From `bill = {kind, url, account, tags}` to a bill: which adapter reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from agent.billing.alibaba import AlibabaBill
from agent.billing.bill import Bill
from agent.billing.cost_explorer import CostExplorerBill
from agent.billing.errors import BillError
from agent.billing.files import BucketBill, FileBill
from agent.billing.kinds import KINDS
from agent.billing.scope import Scope
from agent.billing.source import BillSource
from agent.model.clock import Clock

BUCKETS = frozenset({"s3", "gs", "az", "azure", "abfs", "abfss"})


def open_bill(*, kind: str, url: str, scope: Scope, cache: Path, clock: Clock, environment: Mapping[str, str]) -> Bill:
    """A bill of files is read at once; one behind an API or in a bucket at the first `refresh`. BillError, else."""
    return Bill(_source(kind, url, scope, cache, clock, environment), scope)


def _source(kind: str, url: str, scope: Scope, cache: Path, clock: Clock, environment: Mapping[str, str]) -> BillSource:
    whose = hashlib.sha256(repr((kind, url, scope.account, sorted(scope.tags.items()))).encode()).hexdigest()[:12]
    if kind == "cost-explorer":
        return CostExplorerBill(scope, cache / f"cost-explorer-{whose}.json", clock, url)
    if kind == "alibaba":
        return AlibabaBill(environment, cache / f"alibaba-{whose}.json", clock, url)
    if kind and kind not in KINDS:
        raise BillError(f"no bill is of kind {kind!r}: the kinds are {', '.join(KINDS)}")
    scheme = urlsplit(url).scheme
    if scheme in BUCKETS:
        return BucketBill(url, cache / whose, environment, kind)
    if scheme not in ("", "file") or not url:
        raise BillError(f"cannot read a bill from {url!r}: give a path, file://, s3://, gs:// or az://")
    return FileBill(Path(url.removeprefix("file://")).absolute(), kind)
