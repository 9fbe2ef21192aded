"""Servers that speak Azure's Blob API and Google's Cloud Storage API, on loopback, and what fills their buckets.

Azurite is Microsoft's emulator, from npm; fake-gcs-server comes from Go's module proxy. Both go into `.work`, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Protocol

import httpx

from tests.interop.kafka import ROOT, await_port, ended
from tests.ports import free_port

AZURITE = "azurite@3.37.0"
FAKE_GCS = "github.com/fsouza/fake-gcs-server@v1.56.1"
AZURITE_HOME = ROOT / ".work/azurite"
BIN = ROOT / ".work/bin"
INSTALL_S = 1800
START_S = 120
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's, and every emulator's: it is public."""
VERSION = "2021-08-06"
TIMEOUT_S = 30.0


class Bucket(Protocol):
    """One bucket, written as its owner's exporter would."""

    url: str
    environment: Mapping[str, str]
    """By which a reader finds it."""

    def put(self, key: str, body: bytes) -> None: ...

    def delete(self, key: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AzureContainer:
    """Requests signed with the account's key."""

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        return f"az://{self.name}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
        }

    def create(self) -> None:
        self._ask("PUT", f"/{self.name}", query={"restype": "container"})

    def put(self, key: str, body: bytes) -> None:
        self._ask("PUT", f"/{self.name}/{key}", body=body, headers={"x-ms-blob-type": "BlockBlob"})

    def delete(self, key: str) -> None:
        self._ask("DELETE", f"/{self.name}/{key}")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        told = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION, **(headers or {})}
        length = str(len(body)) if body else ""
        canonical = "".join(f"{name}:{told[name]}\n" for name in sorted(told))
        resource = f"/{ACCOUNT}/{ACCOUNT}{path}" + "".join(
            f"\n{name}:{value}" for name, value in sorted((query or {}).items())
        )
        text = f"{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{canonical}{resource}"
        digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        told["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        httpx.request(
            method, f"{self.endpoint}{path}", params=query, content=body, headers=told, timeout=TIMEOUT_S
        ).raise_for_status()


@dataclass(frozen=True, kw_only=True)
class GoogleBucket:
    """Written through the JSON API."""

    endpoint: str
    name: str
    account: Path

    @property
    def url(self) -> str:
        return f"gs://{self.name}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"GOOGLE_SERVICE_ACCOUNT": str(self.account)}

    def create(self) -> None:
        told = {"gcs_base_url": self.endpoint, "disable_oauth": True, "client_email": "", "private_key": "",
                "private_key_id": ""}  # fmt: skip
        self.account.write_text(json.dumps(told))
        self._say(httpx.post(f"{self.endpoint}/storage/v1/b", json={"name": self.name}, timeout=TIMEOUT_S))

    def put(self, key: str, body: bytes) -> None:
        where = f"{self.endpoint}/upload/storage/v1/b/{self.name}/o"
        self._say(httpx.post(where, params={"uploadType": "media", "name": key}, content=body, timeout=TIMEOUT_S))

    def delete(self, key: str) -> None:
        name = key.replace("/", "%2F")
        self._say(httpx.delete(f"{self.endpoint}/storage/v1/b/{self.name}/o/{name}", timeout=TIMEOUT_S))

    @staticmethod
    def _say(answer: httpx.Response) -> None:
        answer.raise_for_status()


def install() -> None:
    """Both servers into .work; an error names what is missing on this host."""
    for program, package in (("npm", "nodejs npm"), ("go", "golang")):
        if not shutil.which(program):
            raise SystemExit(f"{program} is missing: apt-get install {package}")
    if not (AZURITE_HOME / "node_modules/azurite").exists():
        AZURITE_HOME.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
        subprocess.run([*command, AZURITE], cwd=AZURITE_HOME, check=True, timeout=INSTALL_S)
    if not (BIN / "fake-gcs-server").exists():
        wanted = {**os.environ, "GOBIN": str(BIN)}
        subprocess.run(["go", "install", FAKE_GCS], env=wanted, check=True, timeout=INSTALL_S)


@contextmanager
def azure(directory: Path) -> Iterator[AzureContainer]:
    """A container of a running Azurite."""
    port = free_port()
    main = AZURITE_HOME / "node_modules/azurite/dist/src/blob/main.js"
    command = ["node", str(main), "--location", str(directory), "--blobHost", "127.0.0.1", "--blobPort", str(port),
               "--silent"]  # fmt: skip
    with _serving(command, port, directory / "azurite.log"):
        container = AzureContainer(endpoint=f"http://127.0.0.1:{port}/{ACCOUNT}", name="bills")
        container.create()
        yield container


@contextmanager
def google(directory: Path) -> Iterator[GoogleBucket]:
    """A bucket of a running fake-gcs-server."""
    port = free_port()
    where = f"127.0.0.1:{port}"
    command = [str(BIN / "fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
               "-backend", "memory", "-public-host", where]  # fmt: skip
    with _serving(command, port, directory / "gcs.log"):
        bucket = GoogleBucket(endpoint=f"http://{where}", name="bills", account=directory / "account.json")
        bucket.create()
        yield bucket


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out, ended(subprocess.Popen(command, stdout=out, stderr=out)) as process:
        await_port(port, process, log, within_s=START_S)
        yield
