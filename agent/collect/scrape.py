"""One HTTP GET of one target: bounded in time and bytes, and its failure in words.

The body is read as it arrives and never held. Every attempt, good or bad, gives the target's `up`,
`scrape_duration_seconds` and `scrape_samples_scraped`; series that were there the time before and are not now have
ended, and those of a target that is down all have.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
from numpy.typing import NDArray

from agent.collect.errors import BadExposition
from agent.collect.exposition import BLOCK_BYTES, Body, Exposition, Room, Scraped
from agent.collect.lines import Limits
from agent.model.clock import Clock
from agent.store.errors import StoreError
from agent.store.samples import Labels, SampleStore

BROKER_INFO = "streampilot_broker_info"
"""The series by which a bundled broker says its id."""
SPOT_NOTICE = "kafka_stream_spot_notice_timestamp_seconds"
SPOT_DEADLINE = "kafka_stream_spot_notice_deadline_timestamp_seconds"
"""The series by which it says that its machine will be taken away."""
_MOST_NOTICES = 100


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
    about: Scraped
    """What the agent says about the attempt: `up` and its kin."""
    ended: NDArray[np.int32]
    """Series that the target no longer has."""


class Scraper:
    """Reads one target round after round."""

    def __init__(
        self,
        target: Target,
        cluster: str,
        store: SampleStore,
        *,
        clock: Clock,
        limits: Limits,
        room: Room | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.target = target
        self._store = store
        self._clock = clock
        self._generation = store.generation
        self._cluster = cluster
        self.delay_s = delay_s
        self._exposition = Exposition(self._register, limits, room)
        self._last = np.empty(0, dtype=np.int32)
        self._about = np.empty(0, dtype=np.int32)
        self.broker = target.broker
        """The broker behind the target, once it is known."""
        self.notices: dict[int, tuple[str, Labels]] = {}
        """Series of spot notices: number to name and labels; the newest ones, whether they are shown now or not."""

    def ends(self) -> NDArray[np.int32]:
        """Everything it has told: what ends when the target is not scraped any more."""
        return np.union1d(self._last, self._about) if self._generation == self._store.generation else self._last[:0]

    def _register(self, name: str, labels: Labels) -> int:
        if name == BROKER_INFO:
            self.broker = self.target.broker or dict(labels).get("broker_id")
        number = self._store.series_id(self._cluster, self.target.name, name, labels)
        if name in (SPOT_NOTICE, SPOT_DEADLINE):
            self.notices[number] = (name, labels)
            if len(self.notices) > _MOST_NOTICES:
                del self.notices[next(iter(self.notices))]
        return number

    def scrape(self, client: httpx.Client, timeout_s: float) -> Scrape:
        """Blocks at most about twice `timeout_s`. Never raises: what went wrong is the reason."""
        if self.delay_s:
            self._clock.sleep(self.delay_s)
        began = self._clock.monotonic()
        scraped, reason = None, ""
        try:
            if self._generation != self._store.generation:
                self._exposition.forget()
                self.notices.clear()
                self._last = np.empty(0, dtype=np.int32)
                self._generation = self._store.generation
            scraped = self._read(client, began + timeout_s)
        except httpx.TimeoutException:
            reason = f"no answer within {timeout_s:g} s"
        except (BadExposition, StoreError) as error:
            reason = str(error)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, zlib.error) as error:
            reason = f"{type(error).__name__}: {error}".strip(": ")
        return self._told(scraped, reason, self._clock.monotonic() - began)

    def _told(self, scraped: Scraped | None, reason: str, took_s: float) -> Scrape:
        said = {"up": float(scraped is not None), "scrape_duration_seconds": took_s}
        if scraped is not None:
            said["scrape_samples_scraped"] = float(len(scraped.series))
        try:
            numbers = [self._store.series_id(self._cluster, self.target.name, name, ()) for name in said]
        except StoreError:
            numbers = []
        about = Scraped(series=np.array(numbers, dtype=np.int32), values=np.array(list(said.values())[: len(numbers)]))
        self._about = about.series
        if scraped is not None and np.isin(about.series, scraped.series).any():
            others = ~np.isin(scraped.series, about.series)
            scraped = Scraped(series=scraped.series[others], values=scraped.values[others])
        now = scraped.series if scraped is not None else np.empty(0, dtype=np.int32)
        ended = self._last[:0] if np.array_equal(now, self._last) else np.setdiff1d(self._last, now)
        self._last = now
        return Scrape(target=self.target, scraped=scraped, reason=reason, took_s=took_s, about=about, ended=ended)

    def _read(self, client: httpx.Client, deadline: float) -> Scraped:
        asked = {"Accept": "text/plain;version=0.0.4,application/openmetrics-text;q=0.5", "Accept-Encoding": "gzip"}
        with client.stream("GET", self.target.url, headers=asked) as answer, Body(self._exposition) as body:
            if answer.status_code != 200:
                raise BadExposition(f"HTTP status {answer.status_code}")
            for piece in _plain(answer):
                body.feed(piece)
                if self._clock.monotonic() > deadline:
                    raise httpx.ReadTimeout("the body did not end in time")
            kind = answer.headers.get("content-type", "")
            return body.finish(open_metrics=kind.startswith("application/openmetrics-text"))


def _plain(answer: httpx.Response) -> Iterator[bytes]:
    """The body's pieces, decompressed in steps of a bounded size whatever a small piece may hold."""
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding in ("", "identity"):
        yield from answer.iter_raw()
        return
    if encoding != "gzip":
        raise BadExposition(f"the body is encoded as {encoding[:40]!r}, which nobody asked for")
    unpacked = zlib.decompressobj(wbits=31)
    for packed in answer.iter_raw():
        while packed:
            yield unpacked.decompress(packed, BLOCK_BYTES)
            packed = unpacked.unconsumed_tail
    yield unpacked.flush()
    if not unpacked.eof:
        raise BadExposition("the compressed body was cut off")
