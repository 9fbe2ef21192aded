"""`make profile`: which functions of our broker its core goes to, for each raw load; the table is docs/profiles.md.

    python -m tests.bench.profile [--batches 16] [--times 5] [--write]

py-spy looks from outside and stops nothing. What counts is the interpreter: a sample is of the thread that holds it,
and the C beneath a function is the function's own. What runs without it, as the write of the WAL, is in the CPU time
alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench import arms, raw
from tests.bench.__main__ import RAW
from tests.bench.arms import ROOT, Arm
from tests.bench.raw import Load
from tests.cores import apart

PAGE = ROOT / "docs" / "profiles.md"
PER_SECOND = 200
MOST_SECONDS = 120
SHOWN = 18
HEAD = """# Profiles

Where a broker's interpreter spends its time, by function: `make profile ARGS=--write`. Of the samples in which a thread
had the interpreter, the share in which the function itself ran (own; what it calls in C is its own, as the sending of
`Line.send`) and in which it or what it called did (in all). The CPU time is of the whole process: what writes the WAL
and the objects runs without the interpreter and is in it, not in the shares.
"""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Samples of one load."""

    samples: int
    own: Counter[str]
    """Function -> samples in which it was the innermost."""
    whole: Counter[str]
    """Function -> samples in which it was anywhere."""


def read(lines: Iterable[str]) -> Profile:
    """py-spy's raw form: frames from the outermost on, between semicolons, and how often they were seen."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in lines:
        stack, _, times = line.rpartition(" ")
        if not stack:
            continue  # a stack that changed while it was read
        frames = stack.split(";")
        own[frames[-1]] += int(times)
        for frame in set(frames):
            whole[frame] += int(times)
    return Profile(samples=own.total(), own=own, whole=whole)


def table(load: Load, cpu_us: float, profile: Profile) -> str:
    """The functions with the most time of their own."""
    lines = [
        f"## {load.name}",
        f"{load.requests} requests, {cpu_us:.0f} us of CPU each; {profile.samples} samples.",
        "",
        "| function | own | in all |",
        "|---|---|---|",
    ]
    for name, count in profile.own.most_common(SHOWN):
        share, whole = 100 * count / profile.samples, 100 * profile.whole[name] / profile.samples
        lines.append(f"| `{name}` | {share:.1f} % | {whole:.1f} % |")
    return "\n".join(lines) + "\n"


def look(arm: Arm, load: Load, directory: Path) -> str:
    """The load's table. RuntimeError when py-spy may not look, or saw nothing."""
    topic = f"profiled-{RAW.index(next(one for one in RAW if one.name == load.name))}"
    raw.make_topic(arm.address, topic, load.partitions)
    raw.produce(arm.address, topic, replace(load, requests=max(load.requests // 4, 2)))
    path = directory / f"{topic}.txt"
    command = [_py_spy(), "record", "--pid", str(arm.pid), "--rate", str(PER_SECOND), "--duration", str(MOST_SECONDS),
               "--format", "raw", "--function", "--gil", "--nonblocking", "--output", str(path)]  # fmt: skip
    spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        before = arm.cpu_s()
        raw.produce(arm.address, topic, load)
        cpu_us = (arm.cpu_s() - before) / load.requests * 1e6
    finally:
        spy.send_signal(2)  # it writes what it has
        _, said = spy.communicate(timeout=30)
    profile = read(path.read_text(encoding="utf-8").splitlines()) if path.exists() else read(())
    if not profile.samples:
        raise RuntimeError(
            f"py-spy saw nothing of process {arm.pid}: {said.strip()[-300:]}\n"
            "it needs root, or kernel.yama.ptrace_scope=0, to look at a process that it did not start"
        )
    return table(load, cpu_us, profile)


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise RuntimeError("py-spy is not installed: run `make setup`")
    return found


def profiles(batches: Sequence[int], times: int) -> Iterable[str]:
    """A table for each raw load, one core for the broker and the rest for the load."""
    with tempfile.TemporaryDirectory(prefix="streampilot-profile-") as place, apart() as leave_the_core:
        directory = Path(place)
        with arms.ours(directory / "ours") as arm:
            leave_the_core()
            for load in RAW:
                if not batches or load.batch_bytes >> 10 in batches:
                    print(f"{load.name} ...", file=sys.stderr)
                    yield look(arm, replace(load, requests=load.requests * times), directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", help="loads of these KiB only: 1, 16, 900")
    parser.add_argument("--times", type=int, default=5, help="as many requests as the benchmark's")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    asked = parser.parse_args()
    tables = []
    for each in profiles(asked.batches or (), asked.times):
        print(each, flush=True)
        tables.append(each)
    if asked.write:
        PAGE.write_text("\n".join([HEAD, *tables]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
