"""Which store a URL means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import obstore

from broker.clock import Clock
from broker.objects.backend import ObstoreBackend
from broker.objects.budget import Bandwidth
from broker.objects.faults import BadStore
from broker.objects.local import LocalBackend
from broker.objects.store import ObjectStore, Rng

CONNECT_S = "3s"
LONGEST_REQUEST_S = "60s"
"""The client's own last resort; what a try may take is decided by its size (store.py)."""


def open_store(
    url: str, *, clock: Clock, rng: Rng, bytes_per_s: float | None = None, beside_tail: float | None = None
) -> ObjectStore:
    """A store at file:///directory, s3://bucket/prefix (credentials and endpoint from the environment) or memory://,
    with its bandwidth budget (budget.py; None: no limit).
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("file", "s3", "memory"):
        raise BadStore(f"object store {url}: give file:///directory, s3://bucket/prefix or memory://")
    bandwidth = Bandwidth(clock, bytes_per_s, beside_tail=beside_tail)
    if scheme == "file":
        return ObjectStore(url, LocalBackend(Path(unquote(rest))), clock, rng, bandwidth=bandwidth)
    if scheme == "memory":
        return ObjectStore(url, ObstoreBackend(obstore.store.MemoryStore()), clock, rng, bandwidth=bandwidth)
    return ObjectStore(url, ObstoreBackend(_s3(rest), multipart=True), clock, rng, bandwidth=bandwidth)


def _s3(rest: str) -> Any:
    path, _, query = rest.partition("?")
    bucket, _, prefix = path.partition("/")
    options: dict[str, Any] = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
    client: dict[str, Any] = {"connect_timeout": CONNECT_S, "timeout": LONGEST_REQUEST_S}
    if os.environ.get("AWS_ENDPOINT_URL", options.get("endpoint", "")).startswith("http://"):
        client["allow_http"] = True
    options.setdefault("client_options", client)
    return obstore.store.S3Store(bucket, prefix=prefix or None, retry_config={"max_retries": 0}, **options)
