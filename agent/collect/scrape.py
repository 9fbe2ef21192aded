"""One HTTP GET of one target: bounded in time and bytes, and its failure in words."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from agent.collect.errors import BadExposition
from agent.collect.exposition import Exposition, Limits, Scraped
from agent.model.clock import Clock
from agent.store.errors import StoreError
from agent.store.samples import Labels, SampleStore

BROKER_INFO = "streampilot_broker_info"
"""The series by which a bundled broker says its id."""


@dataclass(frozen=True, kw_only=True)
class Target:
    url: str
    broker: str | None = None
    """The broker whose metrics these are; None: the body says it (`streampilot_broker_info`)."""

    @property
    def name(self) -> str:
        """How the target is called in the `source` view."""
        return self.url


def read_target(text: str) -> Target:
    """`URL`, or `ID=URL` where the metrics carry no broker id; `/metrics` is added to a bare host."""
    id, found, url = text.partition("=")
    if not found or "://" in id:
        id, url = "", text
    if "://" not in url:
        url = f"http://{url}"
    if url.count("/") == 2:
        url += "/metrics"
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"metrics target {text!r} is not URL or ID=URL with http:// or https://")
    return Target(url=url, broker=id or None)


@dataclass(frozen=True, kw_only=True)
class Scrape:
    target: Target
    scraped: Scraped | None
    """None where the target did not answer, or its answer was refused."""
    reason: str
    took_s: float


class Scraper:
    """Reads one target round after round."""

    def __init__(self, target: Target, cluster: str, store: SampleStore, *, clock: Clock, limits: Limits) -> None:
        self.target = target
        self._store = store
        self._clock = clock
        self._limits = limits
        self._generation = store.generation
        self._cluster = cluster
        self._exposition = Exposition(self._register, limits)
        self.broker = target.broker
        """The broker behind the target, once it is known."""

    def _register(self, name: str, labels: Labels) -> int:
        if name == BROKER_INFO:
            self.broker = self.target.broker or dict(labels).get("broker_id")
        return self._store.series_id(self._cluster, self.target.name, name, labels)

    def scrape(self, client: httpx.Client, timeout_s: float) -> Scrape:
        """Blocks at most about twice `timeout_s`. Never raises: what went wrong is the reason."""
        began = self._clock.monotonic()
        scraped, reason = None, ""
        try:
            body = self._body(client, began + timeout_s)
            if self._generation != self._store.generation:
                self._exposition.forget()
                self._generation = self._store.generation
            scraped = self._exposition.parse(body)
        except httpx.TimeoutException:
            reason = f"no answer within {timeout_s:g} s"
        except (BadExposition, StoreError) as error:
            reason = str(error)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = f"{type(error).__name__}: {error}".strip(": ")
        return Scrape(target=self.target, scraped=scraped, reason=reason, took_s=self._clock.monotonic() - began)

    def _body(self, client: httpx.Client, deadline: float) -> bytes:
        with client.stream("GET", self.target.url) as answer:
            if answer.status_code != 200:
                raise BadExposition(f"HTTP status {answer.status_code}")
            chunks: list[bytes] = []
            size = 0
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > self._limits.body_bytes:
                    raise BadExposition(f"a body over {self._limits.body_bytes} bytes: nothing of this scrape was kept")
                if self._clock.monotonic() > deadline:
                    raise httpx.ReadTimeout("the body did not end in time")
                chunks.append(chunk)
            return b"".join(chunks)
