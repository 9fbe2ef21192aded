"""Transactions: what is committed is seen by read_committed, what is aborted or open is not, offsets go with them."""

from __future__ import annotations

import dataclasses
import time
from contextlib import closing

from tests.clients import reference
from tests.clients.cells import Ground
from tests.clients.driver import Driver, Reading, records_of
from tests.clients.records import Got, Record, differences

_POLL_S = 0.5
_ENDS_S = 0.5


def transactions(driver: Driver, ground: Ground) -> list[str]:
    """Commit, abort, then consume, transform and produce with the offsets in the transaction."""
    source, target, group = f"{ground.name}-source", f"{ground.name}-target", f"{ground.name}-group"
    sent = records_of(driver, ground.records)
    half = len(sent) // 2
    never = [dataclasses.replace(each, value=b"aborted " + (each.value or b"")) for each in sent[:half]]
    reference.create(ground, source)
    reference.create(ground, target)
    with closing(driver.transactional(ground, f"{ground.name}-id")) as writer:
        writer.begin()
        writer.send(target, sent[:half])
        writer.commit()
        writer.begin()
        writer.send(target, never)
        seen_while_open = _committed(driver, ground, target, half)
        writer.abort()
        with closing(driver.writer(ground)) as plain:  # its own: another's partitioner would mix the order up
            plain.send(source, sent[half:])
        with closing(driver.reader(ground, source, Reading(group=group, committed_only=True))) as reader:
            moved: list[Got] = []
            deadline = time.monotonic() + ground.timeout_s
            while len(moved) < len(sent) - half and time.monotonic() < deadline:
                if found := reader.poll(_POLL_S):
                    writer.begin()
                    writer.send(target, [each.record for each in found])
                    writer.send_offsets(reader)
                    writer.commit()
                    moved += found
    faults = [f"while one is open: {fault}" for fault in differences(sent[:half], seen_while_open, gaps=True)]
    faults += differences(sent[half:], moved)
    faults += _ends(driver, ground, target, sent, never)
    ends = {each.partition: each.offset + 1 for each in sorted(moved, key=lambda one: one.offset)}
    stored = reference.committed(ground, group, source)
    return faults + ([f"offsets committed {stored}, read up to {ends}"] if stored != ends else [])


def _ends(driver: Driver, ground: Ground, target: str, sent: list[Record], never: list[Record]) -> list[str]:
    """What stands in the target at the end, by this client and by the reference."""
    by_reference = reference.read(ground, target, len(sent), committed_only=True, more=True)
    every = reference.read(ground, target, len(sent) + len(never))
    faults = [f"by the reference: {fault}" for fault in differences(sent, by_reference, gaps=True)]
    faults += differences(sent, _committed(driver, ground, target, len(sent)), gaps=True)
    values = {each.record.value for each in every}
    lost = [each for each in never if each.value not in values]
    return faults + ([f"{len(lost)} aborted records are not in the log, so nothing was tried"] if lost else [])


def _committed(driver: Driver, ground: Ground, topic: str, count: int) -> list[Got]:
    """What a read_committed reader sees: `count`, and whatever else comes."""
    got: list[Got] = []
    deadline = time.monotonic() + ground.timeout_s
    with closing(driver.reader(ground, topic, Reading(committed_only=True))) as reader:
        while len(got) < count and time.monotonic() < deadline:
            got += reader.poll(_POLL_S)
        return got + reader.poll(_ENDS_S)
