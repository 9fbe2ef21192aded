"""A bill in files: one file, a directory of them, or a bucket's prefix, which is mirrored and then read as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from agent.billing.endpoints import is_plain
from agent.billing.errors import BillError
from agent.billing.reading import ENDINGS, select

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

DAY_S = 86_400.0
MOST_FILES = 5_000
MOST_BYTES = 4 << 30
"""Of a bucket's prefix: more than this is not this cluster's bill."""
TIMEOUTS: ClientConfig = {"timeout": "60s", "connect_timeout": "5s"}
RETRIES: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=60)}


class FileBill:
    """FOCUS or CUR files on disk."""

    remote = False
    late_s = DAY_S

    def __init__(self, path: Path, kind: str = "") -> None:
        self._path = path
        self._kind = kind
        self._files: Sequence[Path] = ()

    @property
    def name(self) -> str:
        return str(self._path)

    def look(self) -> str:
        self._files = _files(self._path)
        return repr([(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in self._files])

    def selects(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        return [select(connection, file, self._kind) for file in self._files]

    def notes(self) -> list[str]:
        return []


class BucketBill:
    """The same files under `s3://`, `gs://` or `az://`; credentials and endpoint come from the environment.

    What is new is copied to `mirror`, what has gone there is deleted here; a copy appears whole or not at all.
    """

    remote = True
    late_s = DAY_S

    def __init__(self, url: str, mirror: Path, environment: Mapping[str, str], kind: str = "") -> None:
        self._url = url
        self._plain = is_plain(url, environment)
        self._mirror = mirror
        self._kind = kind
        self._files: dict[str, Path] = {}

    @property
    def name(self) -> str:
        return self._url

    def look(self) -> str:
        options: ClientConfig = {**TIMEOUTS, "allow_http": self._plain}
        try:
            store = from_url(self._url, client_options=options, retry_config=RETRIES)
            found = [meta for page in obstore.list(store) for meta in page if meta["path"].endswith(ENDINGS)]
            self._check(found)
            self._files = {meta["path"]: self._copy(store, meta) for meta in found}
        except (BaseError, ValueError, OSError) as error:
            said = str(error).splitlines()[0][:300]
            raise BillError(
                f"cannot read the bill in {self._url}: {said}; check the URL and its credentials"
            ) from error
        self._forget()
        return repr(sorted(str(file) for file in self._files.values()))

    def selects(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        return [select(connection, file, self._kind) for _, file in sorted(self._files.items())]

    def notes(self) -> list[str]:
        return []

    def _check(self, found: Sequence[obstore.ObjectMeta]) -> None:
        size = sum(meta["size"] for meta in found)
        if len(found) > MOST_FILES or size > MOST_BYTES:
            raise BillError(
                f"{self._url} holds {len(found)} files of {size} bytes, more than {MOST_FILES} or {MOST_BYTES}: "
                "name a narrower prefix"
            )

    def _copy(self, store: obstore.store.ObjectStore, meta: obstore.ObjectMeta) -> Path:
        """Names carry size and time of change, so that a file that was written again is another file."""
        folder, _, name = meta["path"].rpartition("/")
        stamp = f"{meta['last_modified']:%Y%m%dT%H%M%S%f}-{meta['size']}"
        target = self._mirror / folder / f"{stamp}-{name}"
        if not target.resolve().is_relative_to(self._mirror.resolve()):
            raise BillError(f"{self._url} holds the key {meta['path']!r}, which leads out of {self._mirror}: remove it")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(target.name + ".part")
            with beside.open("wb") as file:
                for chunk in obstore.get(store, meta["path"]).stream():
                    file.write(bytes(chunk))
            beside.replace(target)
        return target

    def _forget(self) -> None:
        kept = {file.resolve() for file in self._files.values()}
        for file in self._mirror.rglob("*"):
            if file.is_file() and file.resolve() not in kept:
                file.unlink()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.name.endswith(ENDINGS))
    if not path.exists():
        raise BillError(f"there is no bill at {path}: pass a FOCUS file or a directory of them")
    if not path.name.endswith(ENDINGS):
        raise BillError(f"{path} is none of {', '.join(ENDINGS)}: export the bill as FOCUS 1.0 or 1.2")
    return [path]
