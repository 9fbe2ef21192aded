"""`make demo-seeds`: the demo over many seeds, one after another; findings must equal the plants, both ways.

`python -m tests.demo_seeds [--seeds 20] [--first 1] [--jobs 1] [--reports DIR]`; exits 0 only when every seed held.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

LONGEST_S = 420.0
RUNNING: list[subprocess.Popen[bytes]] = []
"""Every demo that was started; an interrupt stops those that still run, and no more are started."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one seed came to."""

    seed: int
    held: bool
    line: str


def run_seed(seed: int, reports: Path) -> Verdict:
    """One demo in a process and a directory of its own."""
    report = reports / f"seed-{seed}.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "agent.cli", "demo", "--seed", str(seed), "--plain", "--report", str(report)]
    started = time.monotonic()
    with open(reports / f"seed-{seed}.txt", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        RUNNING.append(process)
        try:
            status = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            status = process.wait(90)
    seconds = time.monotonic() - started
    if not report.exists():
        return Verdict(seed=seed, held=False, line=f"seed {seed}: no report, exit {status}; see {log.name}")
    document = json.loads(report.read_text("utf-8"))
    planted = {(item["rule"], item["resource"]) for item in document["planted"]}
    found = {(item["rule"], item["resource"]) for item in document["findings"]}
    held = status == 0 and planted == found
    names = ",".join(sorted(rule for rule, _ in planted)) or "nothing"
    line = (
        f"seed {seed}: planted {names}; {len(found & planted)} of {len(planted)} found, {len(found - planted)} besides"
    )
    why = "" if held else ": " + "; ".join(document["failures"])
    return Verdict(seed=seed, held=held, line=f"{line}; {seconds:.0f} s; {'held' if held else 'DID NOT HOLD'}{why}")


def stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM and Ctrl-C: the demos stop what they started, and this waits for them."""
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)
    deadline = time.monotonic() + 90
    while any(process.poll() is None for process in RUNNING) and time.monotonic() < deadline:
        for process in RUNNING:
            process.terminate()
        time.sleep(1)
    os._exit(130)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo_seeds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--reports", type=Path, help="where reports and logs go (default: a temporary directory)")
    arguments = parser.parse_args()
    reports = arguments.reports or Path(tempfile.mkdtemp(prefix="streampilot-seeds-"))
    reports.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    started = time.monotonic()
    held = 0
    with ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        for verdict in pool.map(lambda seed: run_seed(seed, reports), seeds):
            held += verdict.held
            print(verdict.line, flush=True)
    print(f"{time.monotonic() - started:.0f} s; reports and logs in {reports}", file=sys.stderr)
    print(f"{held} of {len(seeds)}")
    return 0 if held == len(seeds) else 1


if __name__ == "__main__":
    sys.exit(main())
