"""A full disk under the store (a small tmpfs, which needs root): no exit, all is counted, and it resumes by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from agent.model.clock import SystemClock
from agent.store.errors import StoreError
from agent.store.samples import SampleStore
from tests.chaos.smalldisk import SmallDisk
from tests.faults.agent.verdict import Verdict
from tests.faults.agent.writer import ROWS, START, STEP, batch, torn


def filled(directory: Path, times: int, rounds: int = 30) -> Verdict:
    disk = SmallDisk(directory)
    if not disk.mounted:
        return Verdict(name="disk", ok=None, figure="mounting a small tmpfs needs root and the right to mount")
    try:
        return _filled(disk, directory / "store", times, rounds)
    finally:
        disk.stop()


def _filled(disk: SmallDisk, directory: Path, times: int, rounds: int) -> Verdict:
    directory.mkdir()
    store = SampleStore(directory, clock=SystemClock())
    at, sent, resumed, kept, unread = START, 0, [], set(), 0
    refused = 0
    for _ in range(times):
        for full in (False, True, False):
            (disk.fill if full else disk.empty)()
            first = 0
            for n in range(rounds):
                at += STEP
                sent += ROWS
                if store.write(batch(store, at)):
                    kept.add(at)
                    first = first or n + 1
                refused += full and at not in kept
                if n % 10 == 9:
                    store.maintain(at)
                    unread += not _reads(store, at)
            if not full:
                resumed.append(first)
    counted = store.stored + store.dropped
    found, broken = torn(store, START, at)
    store.close()
    whole = len(found) == len(kept) and not broken
    ok = counted == sent and whole and max(resumed) == 1 and min(resumed) == 1 and refused > 0
    return Verdict(
        name="disk",
        ok=ok,
        figure=f"{times} times full: {sent} samples sent = {store.stored} stored + {store.dropped} dropped "
        f"({sent - counted} unaccounted for), {refused} rounds refused, {len(kept) - len(found)} stored rounds lost, "
        f"{len(broken)} torn, {unread} reads refused meanwhile; stores again {max(resumed)} round after there is room",
    )


def _reads(store: SampleStore, at: object) -> bool:
    try:
        store.query(f"SELECT count(*) AS n FROM {store.relation('samples', START, START + timedelta(hours=1))}")
    except StoreError:
        return False
    return True
