"""The queue between the event loop and a store's writer thread: bounded, and taken in groups.

A group is whatever waits when the writer may write, so that under load 500 small commits cost about one sync. Jobs that
brought an item for the same work and stand side by side are one unit: run by one call, in the order they came.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from broker.errors import KafkaError
from broker.metadata.database import MetadataUnavailable, Tx

GROUP_JOBS = 512
"""Jobs in one transaction at most, so that no job waits behind an endless group."""
QUEUE_JOBS = 20_000
"""Jobs waiting at most (law 12); one more is refused with a retriable error."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    work: Callable[..., Any]
    """Takes the Tx; or, with `together`, the Tx and every neighbour's item."""
    item: Any
    together: bool
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


Answer = tuple[Job, Any, BaseException | None]
"""A job, what it returned, or why it was undone."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Jobs that run in one call, and are undone together."""

    jobs: Sequence[Job]

    def run(self, tx: Tx) -> list[Answer]:
        first = self.jobs[0]
        if not first.together:
            return [(first, first.work(tx), None)]
        refusals = first.work(tx, [job.item for job in self.jobs])
        return [(job, None, refusal) for job, refusal in zip(self.jobs, refusals, strict=True)]

    def split(self) -> list[Unit]:
        """Each job by itself: how it is found out which of them is at fault."""
        return [Unit(jobs=[job]) for job in self.jobs]

    def failed(self, fault: BaseException) -> list[Answer]:
        return [(job, None, fault) for job in self.jobs]


def units(group: Iterable[Job]) -> list[Unit]:
    """The group in its order, neighbours with the same shared work joined."""
    found: list[Unit] = []
    for key, run in groupby(group, key=lambda job: job.work if job.together else job):
        jobs = list(run)
        found.extend([Unit(jobs=jobs)] if not isinstance(key, Job) else Unit(jobs=jobs).split())
    return found


class Jobs:
    """Filled on the event loop, emptied by one thread."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Job | None] = queue.Queue(QUEUE_JOBS)
        self._closed = False

    async def ask(self, work: Callable[..., Any], item: Any = None, *, together: bool = False) -> Any:
        """Queues a job and waits for its answer."""
        if self._closed:
            raise MetadataUnavailable("the metadata store is closed")
        loop = asyncio.get_running_loop()
        job = Job(work=work, item=item, together=together, loop=loop, done=loop.create_future())
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise MetadataUnavailable(f"{QUEUE_JOBS} metadata writes are waiting: retry") from None
        return await job.done

    def first(self) -> Job | None:
        """Waits for a job; None when no more will come. Called by the writer."""
        return self._queue.get()

    def rest(self, first: Job) -> list[Job]:
        """That job and those that queued behind it, at most a group."""
        group = [first]
        while len(group) < GROUP_JOBS:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._queue.put(None)
                break
            group.append(job)
        return group

    def close(self) -> None:
        """No job is taken any more; the writer ends behind the last one. Blocks while the queue is full."""
        self._closed = True
        self._queue.put(None)

    @property
    def closed(self) -> bool:
        return self._closed


def settle(answers: Iterable[Answer]) -> None:
    """Hands answers back to those who wait, in one step per event loop."""
    for loop, some in groupby(answers, key=lambda answer: answer[0].loop):
        try:
            loop.call_soon_threadsafe(_deliver, list(some))
        except RuntimeError:
            continue  # the loop is closed: nobody waits for the answer any more


def _deliver(answers: Sequence[Answer]) -> None:
    for job, result, failure in answers:
        if job.done.done():
            continue
        if failure is None:
            job.done.set_result(result)
        elif isinstance(failure, KafkaError):
            job.done.set_exception(failure)
        else:
            job.done.set_exception(MetadataUnavailable(f"a metadata change failed: {failure!r}"))
