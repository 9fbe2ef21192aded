"""Targets from Kubernetes: the running pods that a label selector finds, by the API server's list, asked now and then.

The service account's token is read anew each time, for it is replaced while the pod runs. Needed is `list` on `pods`.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from agent.collect.discovery.finder import MOST_BYTES, CannotFind, Told, url_of
from agent.collect.scrape import Target

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_S = 10.0
PAGE = 500
MOST_PAGES = 20
EVERY_S = 30.0
_ORDINAL = re.compile(r"-(\d+)$")


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Which pods, and what of them is a target."""

    api: str
    """`https://HOST:PORT` of the API server."""
    namespace: str
    selector: str
    port: int | str
    """A number, or the name of a container's port."""
    path: str = "/metrics"
    scheme: str = "http"
    broker: str = ""
    """`ordinal`: the number at the end of the pod's name; `label:NAME`; empty: the metrics, or the host, say it."""
    token_file: Path = ACCOUNT / "token"
    ca_file: Path = ACCOUNT / "ca.crt"


class KubernetesFinder:
    """Asks one API server."""

    every_s = EVERY_S

    def __init__(self, pods: Pods) -> None:
        self.name = f"kubernetes {pods.namespace}"
        self._pods = pods
        self._client: httpx.Client | None = None

    def find(self, told: Told) -> list[Target]:
        found, more = [], ""
        for _ in range(MOST_PAGES):
            page = self._ask(more)
            items = page.get("items")
            if not isinstance(items, list):
                raise CannotFind(f"{self._where()}: the answer holds no list of pods")
            found += [target for item in items if (target := self._target(item)) is not None]
            more = str((page.get("metadata") or {}).get("continue") or "")
            if not more:
                return found
        raise CannotFind(f"{self._where()}: over {MOST_PAGES * PAGE} pods: narrow the selector")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _where(self) -> str:
        return f"{self._pods.api}/api/v1/namespaces/{self._pods.namespace}/pods"

    def _ask(self, more: str) -> dict[str, Any]:
        asked = {"labelSelector": self._pods.selector, "limit": str(PAGE), **({"continue": more} if more else {})}
        try:
            token = self._pods.token_file.read_text("utf-8").strip()
            body = bytearray()
            headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
            with self._connected().stream("GET", self._where(), params=asked, headers=headers) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise CannotFind(f"{self._where()}: an answer of over {MOST_BYTES} bytes")
            if answer.status_code != 200:
                raise CannotFind(f"{self._where()}: HTTP status {answer.status_code}{_hint(answer.status_code)}")
            page = json.loads(body)
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise CannotFind(f"{self._where()}: {type(error).__name__}: {str(error)[:200]}") from error
        if not isinstance(page, dict):
            raise CannotFind(f"{self._where()}: the answer is no object")
        return page

    def _connected(self) -> httpx.Client:
        if self._client is None:
            trust: ssl.SSLContext | bool = True
            if self._pods.api.startswith("https://"):
                trust = ssl.create_default_context(cafile=str(self._pods.ca_file))
            self._client = httpx.Client(timeout=TIMEOUT_S, verify=trust, trust_env=False)
        return self._client

    def _target(self, pod: dict[str, Any]) -> Target | None:
        """None for a pod that does not run, is on its way out, or lacks the port."""
        about, status = pod.get("metadata") or {}, pod.get("status") or {}
        host = status.get("podIP")
        port = self._port(pod)
        if status.get("phase") != "Running" or about.get("deletionTimestamp") or not host or port is None:
            return None
        return Target(url=url_of(self._pods.scheme, host, port, self._pods.path), broker=self._broker(about))

    def _port(self, pod: dict[str, Any]) -> int | None:
        if isinstance(self._pods.port, int):
            return self._pods.port
        for container in (pod.get("spec") or {}).get("containers") or ():
            for port in container.get("ports") or ():
                if port.get("name") == self._pods.port:
                    return int(port["containerPort"])
        return None

    def _broker(self, about: dict[str, Any]) -> str | None:
        if self._pods.broker == "ordinal":
            matched = _ORDINAL.search(str(about.get("name", "")))
            return matched[1] if matched else None
        if self._pods.broker.startswith("label:"):
            value = (about.get("labels") or {}).get(self._pods.broker.removeprefix("label:"))
            return None if value is None else str(value)
        return None


def _hint(status: int) -> str:
    if status in (401, 403):
        return ": give the service account a role that may list pods in that namespace"
    return ""
