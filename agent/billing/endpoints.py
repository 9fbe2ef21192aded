"""Whether a bucket answers without TLS, as an emulator on loopback does: http is allowed where the environment says it.

| bucket | said by |
|---|---|
| `s3://` | `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` |
| `az://` and its other spellings | `AZURE_STORAGE_ENDPOINT`, `AZURE_ENDPOINT` |
| `gs://` | `gcs_base_url` in the service account that `GOOGLE_SERVICE_ACCOUNT` or `..._PATH` names |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

S3 = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
AZURE = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
GOOGLE = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH")


def is_plain(url: str, environment: Mapping[str, str]) -> bool:
    """Whether http, without TLS, is what the environment asks for."""
    return any(urlsplit(endpoint).scheme == "http" for endpoint in _endpoints(urlsplit(url).scheme, environment))


def _endpoints(scheme: str, environment: Mapping[str, str]) -> Iterator[str]:
    if scheme == "gs":
        yield from (_base_url(environment[name]) for name in GOOGLE if name in environment)
        return
    yield from (environment.get(name, "") for name in (S3 if scheme == "s3" else AZURE))


def _base_url(account: str) -> str:
    """Of a service account's file; what is wrong with one is said by who logs in with it."""
    try:
        told = json.loads(Path(account).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(told.get("gcs_base_url", "")) if isinstance(told, dict) else ""
