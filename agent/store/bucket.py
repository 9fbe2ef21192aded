"""The bucket that closed hours go to: `s3://`, `gs://` or `az://`, by the environment's credentials and endpoint.

Every request ends within a minute, and what goes wrong is a `BucketAway` with the bucket's address in it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import from_url

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

TIMEOUTS: ClientConfig = {"timeout": "60s", "connect_timeout": "5s"}
RETRIES: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}
PARTS_FROM_BYTES = 16 << 20
"""Smaller files go in one request, which leaves no parts behind when it is cut off."""
SCHEMES = ("s3", "gs", "az")


class BucketAway(Exception):
    """The bucket does not do what was asked, now."""


class Gone(BucketAway):
    """The bucket answers, and has no such object."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """An object as the bucket lists it."""

    bytes: int
    changed_ns: int


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A small object as it was read or written."""

    data: bytes
    version: dict[str, str]
    """What makes the next write conditional on nobody having written meanwhile."""
    changed: datetime


class Bucket:
    """Files under one prefix. Thread-safe."""

    def __init__(self, url: str) -> None:
        """ValueError where it is no bucket's address."""
        if urlsplit(url).scheme not in SCHEMES or not urlsplit(url).netloc:
            raise ValueError(f"{url!r} is no bucket: write s3://BUCKET/PREFIX, gs:// or az://")
        self.url = url.rstrip("/")
        try:
            options: ClientConfig = {**TIMEOUTS, "allow_http": _is_plain()}
            self._store: ObjectStore = from_url(self.url, client_options=options, retry_config=RETRIES)
        except BaseError as error:
            raise ValueError(f"{url!r} cannot be used: {_first_line(error)}") from error

    def listed(self) -> Mapping[str, Held]:
        """Everything that is there."""
        try:
            return {
                meta["path"]: Held(bytes=meta["size"], changed_ns=int(meta["last_modified"].timestamp() * 1e9))
                for page in obstore.list(self._store)
                for meta in page
            }
        except (BaseError, OSError) as error:
            raise self._away("listed", error) from error

    def put(self, key: str, file: Path) -> None:
        """Replaces what was there; it is there when this returns."""
        try:
            obstore.put(self._store, key, file, use_multipart=file.stat().st_size >= PARTS_FROM_BYTES)
        except (BaseError, OSError) as error:
            raise self._away("written", error) from error

    def get(self, key: str, draft: Path) -> None:
        """Into a file, which then has all that the object has."""
        try:
            answer = obstore.get(self._store, key)
            size = answer.meta["size"]
            with draft.open("wb") as out:
                for chunk in answer.stream():
                    out.write(bytes(chunk))
        except FileNotFoundError as error:
            draft.unlink(missing_ok=True)
            raise Gone(f"{self.url} has no {key}") from error
        except (BaseError, OSError) as error:
            draft.unlink(missing_ok=True)
            raise self._away("read", error) from error
        if (came := draft.stat().st_size) != size:
            draft.unlink()
            raise BucketAway(f"{self.url}/{key} gave {came} bytes of {size}")

    def rename(self, key: str, to: str) -> None:
        """Copies it and deletes the first: cut off in between, both are there."""
        try:
            obstore.rename(self._store, key, to)
        except FileNotFoundError as error:
            raise Gone(f"{self.url} has no {key}") from error
        except (BaseError, OSError) as error:
            raise self._away("tidied", error) from error

    def peek(self, key: str) -> Seen | None:
        """A small object; None where there is none."""
        try:
            answer = obstore.get(self._store, key)
            return Seen(data=bytes(answer.bytes()), version=_version(answer.meta), changed=answer.meta["last_modified"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._away("read", error) from error

    def swap(self, key: str, data: bytes, before: Seen | None) -> Seen | None:
        """Writes a small object if it is still as it was (None: absent); None where it is not."""
        try:
            try:
                put = obstore.put(self._store, key, data, mode="create" if before is None else _update(before))
            except (NotSupportedError, NotImplementedError):
                now = self.peek(key)
                if (now and now.data) != (before and before.data):
                    return None
                put = obstore.put(self._store, key, data)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise self._away("written", error) from error
        return Seen(data=data, version=_version(put), changed=datetime.min.replace(tzinfo=UTC))

    def delete(self, keys: list[str]) -> None:
        """What is not there is not missed."""
        with contextlib.suppress(FileNotFoundError):
            self._delete(keys)
            return
        for key in keys:  # some kinds of store miss what is not there, and then it is not said what went
            with contextlib.suppress(FileNotFoundError):
                self._delete([key])

    def _delete(self, keys: list[str]) -> None:
        try:
            obstore.delete(self._store, keys)
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise self._away("tidied", error) from error

    def _away(self, what: str, error: Exception) -> BucketAway:
        return BucketAway(f"{self.url} cannot be {what}: {_first_line(error)}")


def _version(about: Mapping[str, Any]) -> dict[str, str]:
    return {name: about[name] for name in ("e_tag", "version") if about.get(name)}


def _update(before: Seen) -> UpdateVersion:
    mode: UpdateVersion = {}
    if "e_tag" in before.version:
        mode["e_tag"] = before.version["e_tag"]
    if "version" in before.version:
        mode["version"] = before.version["version"]
    return mode


def _is_plain() -> bool:
    """Whether the endpoint is one without TLS, as on loopback."""
    return any(os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
