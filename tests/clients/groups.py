"""Two members of a group, each in a thread of its own: some clients block in poll until the others have rejoined."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from tests.clients import reference
from tests.clients.cells import Ground
from tests.clients.driver import Driver, Reader, Reading, records_of
from tests.clients.records import PARTITIONS, Got, Record, differences

_POLL_S = 0.2
_LOOK_S = 0.02


class Member:
    """Polls, and commits what it read before it polls again."""

    def __init__(self, make: Callable[[], Reader]) -> None:
        self._make = make
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.assigned: set[int] = set()
        self.got: list[Got] = []
        """Read and committed."""
        self.error: Exception | None = None
        self._thread.start()

    def _run(self) -> None:
        try:
            with closing(self._make()) as reader:
                while not self._stop.is_set():
                    found = reader.poll(_POLL_S)
                    if found:
                        reader.commit()
                        self.got += found
                    self.assigned = reader.assigned()
        except Exception as error:
            self.error = error

    def leave(self, timeout_s: float) -> None:
        """Returns when it has left the group."""
        self._stop.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"a member did not leave within {timeout_s:.0f} s")
        if self.error is not None:
            raise self.error


def two_members(driver: Driver, ground: Ground, *, protocol: str = "classic") -> list[str]:
    """One reads, another joins and they share, one leaves: nothing is missed or read twice, for all is committed."""
    topic, group = ground.name, f"{ground.name}-group"
    sent = records_of(driver, ground.records)
    third = len(sent) // 3
    reference.create(ground, topic)

    def make() -> Reader:
        return driver.reader(ground, topic, Reading(group=group, protocol=protocol))

    def produce(part: list[Record]) -> None:
        with closing(driver.writer(ground)) as writer:
            writer.send(topic, part)

    with ExitStack() as stack:
        first = _joined(stack, make, ground)
        _until(ground, "the first member has all partitions", [first], lambda: len(first.assigned) == PARTITIONS)
        produce(sent[:third])
        _until(ground, "it read the first third", [first], lambda: len(first.got) >= third)
        second = _joined(stack, make, ground)
        both = [first, second]
        _until(ground, "both have half", both, lambda: [len(each.assigned) for each in both] == [PARTITIONS // 2] * 2)
        shared = first.assigned & second.assigned
        produce(sent[third : 2 * third])
        _until(ground, "both read", both, lambda: len(first.got) + len(second.got) >= 2 * third)
        first.leave(ground.timeout_s)
        _until(ground, "the second has all", [second], lambda: len(second.assigned) == PARTITIONS)
        produce(sent[2 * third :])
        _until(ground, "all is read", [second], lambda: len(first.got) + len(second.got) >= len(sent))
        second.leave(ground.timeout_s)
    faults = differences(sent, [*first.got, *second.got])
    faults += [f"both members had partitions {sorted(shared)}"] if shared else []
    faults += [] if len(second.got) > len(sent) - 2 * third else ["the second member read nothing beside the first"]
    ends = {each.partition: each.offset + 1 for each in sorted([*first.got, *second.got], key=lambda one: one.offset)}
    stored = reference.committed(ground, group, topic)
    return faults + ([f"committed {stored}, read up to {ends}"] if stored != ends else [])


def _joined(stack: ExitStack, make: Callable[[], Reader], ground: Ground) -> Member:
    member = Member(make)
    stack.callback(member._stop.set)
    return member


def _until(ground: Ground, what: str, members: list[Member], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ground.timeout_s
    while not holds():
        for member in members:
            if member.error is not None:
                raise member.error
        if time.monotonic() > deadline:
            told = ", ".join(f"{sorted(each.assigned)} and {len(each.got)} records" for each in members)
            raise TimeoutError(f"not within {ground.timeout_s:.0f} s: {what}; members have {told}")
        time.sleep(_LOOK_S)
