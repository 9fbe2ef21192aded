"""`make powerloss`: a broker's WAL, local objects and SQLite on a disk that loses power at seeded moments.

A real broker runs below shim.c with a real producer (acks=all) and a group that commits offsets; every write, sync and
change of a name is written down. Then, at POINTS moments of that trace, a disk is made that a power cut may have left
(image.py), a broker starts on it, and everything is read back: each record acknowledged before that moment must be at
its offset, offsets contiguous, nothing twice, and the group's offset not older than what was promised.

With PLANT one sync is forgotten on purpose (launch.py): then the run is good when that was found. The last line is the
verdict; exit 0 only when it is a good one, 2 when there is no compiler.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.powerloss import workload
from tests.powerloss.image import Disk
from tests.powerloss.launch import PLANTS
from tests.powerloss.trace import NoCompiler, Record, records

SHOWN = 5
READ_S, FAULT_S = 60.0, 15.0
"""For a read that must succeed, on a busy machine; and for one that is expected to fail."""


@dataclass(kw_only=True)
class Verdict:
    """What was looked at, and what was wrong with it."""

    points: int = 0
    acknowledged: int = 0
    """At the last point."""
    slowest_s: float = 0.0
    moods: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Reader:
    """The process that starts brokers on disks."""

    def __init__(self, narration: Path, wal: str, patience_s: float) -> None:
        with narration.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.powerloss.reader", wal, str(patience_s)],
                cwd=workload.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def look(self, directory: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(directory, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the broker's process ended"}
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def run(
    seed: int,
    points: int,
    directory: Path,
    *,
    wal: str = "disk",
    plant: str = "none",
    seconds: float = 6.0,
    first_only: bool = False,
) -> Verdict:
    """The whole of it; `first_only` ends at the first fault, which is all that a plant needs."""
    rng = random.Random(seed)
    disk, trace = directory / "disk", directory / "trace"
    disk.mkdir()
    promises = workload.run(disk, trace, wal, plant, seconds, rng)
    disk.rename(directory / "run")
    verdict = Verdict()
    reader = Reader(directory / "reader.err", wal, FAULT_S if first_only else READ_S)
    try:
        for model, record, after_ns in moments(list(records(trace)), disk, promises.records[0].at_ns, points, rng):
            verdict.points += 1
            verdict.moods[model.lose_power(disk, rng)] += 1
            faults = judge(reader.look(disk), *promises.before(after_ns), verdict)
            verdict.faults += [f"power lost after {record.op.name} {record.first}: {fault}" for fault in faults]
            shutil.rmtree(disk)
            if verdict.faults and first_only:
                break
    finally:
        reader.close()
    return verdict


def moments(
    trace: list[Record], root: Path, first_ns: int, points: int, rng: random.Random
) -> Iterator[tuple[Disk, Record, int]]:
    """The disk after a record of the trace, that record, and when the next one came; after the first promise only."""
    from_ = next(number for number, record in enumerate(trace) if record.stamp_ns > first_ns)
    chosen = set(rng.sample(range(from_, len(trace) - 1), min(points, len(trace) - 1 - from_)))
    model = Disk(root)
    for number, record in enumerate(trace):
        model.feed(record)
        if number in chosen:
            yield model, record, trace[number + 1].stamp_ns


def judge(found: dict[str, Any], kept: list[workload.Kept], committed: int, verdict: Verdict) -> list[str]:
    """What of the promises does not hold on one disk."""
    verdict.acknowledged = max(verdict.acknowledged, len(kept))
    if "error" in found:
        return [f"the broker did not come back: {found['error']}"]
    verdict.slowest_s = max(verdict.slowest_s, found["seconds"])
    faults = list(found["short"])
    there: dict[tuple[int, int], str] = {}
    for partition, read in found["records"].items():
        offsets = [offset for offset, _ in read]
        if offsets != list(range(len(offsets))):
            faults.append(f"partition {partition}: offsets are not contiguous from 0")
        there.update({(int(partition), offset): value for offset, value in read})
    lost = [one for one in kept if there.get((one.partition, one.offset)) != one.value]
    if lost:
        one = lost[0]
        faults.append(f"{len(lost)} of {len(kept)} acknowledged records lost, such as {one.partition}@{one.offset}")
    twice = [value for value, count in Counter(there.values()).items() if count > 1]
    if twice:
        faults.append(f"{len(twice)} records are there twice")
    if found["committed"] < committed:
        faults.append(f"the group is at {found['committed']}, and {committed} was promised")
    return faults


def tell(verdict: Verdict, wal: str, seed: int, plant: str) -> bool:
    """Prints what came of it; whether that is good."""
    for fault in verdict.faults[:SHOWN]:
        print(f"FAULT {fault}")
    print(", ".join(f"{count} x {mood}" for mood, count in verdict.moods.items()))
    what = f"{wal} WAL, {verdict.points} power cuts (seed {seed}), {verdict.acknowledged} acknowledged"
    what += f", slowest start {verdict.slowest_s:.2f} s"
    if plant == "none":
        print(f"{'NOT CLEAN' if verdict.faults else 'CLEAN'}: {what}, {len(verdict.faults)} faults", flush=True)
        return not verdict.faults
    print(f"{'FOUND' if verdict.faults else 'NOT FOUND'}: plant {plant}, {what}", flush=True)
    return bool(verdict.faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load")
    parser.add_argument("--plant", choices=("none", *PLANTS), default="none")
    parser.add_argument("--wal", choices=tuple(workload.WALS), default="disk")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-powerloss-"))
    good = False
    try:
        verdict = run(
            given.seed,
            given.points,
            directory,
            wal=given.wal,
            plant=given.plant,
            seconds=given.seconds,
            first_only=given.plant != "none",
        )
        if verdict.faults and given.plant == "none":
            print(f"left for a look: {directory}")
        good = tell(verdict, given.wal, given.seed, given.plant)
    except NoCompiler as error:
        print(f"NOT RUN: {error}")
        return 2
    finally:
        if good and not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
