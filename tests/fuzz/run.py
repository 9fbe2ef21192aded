"""`make fuzz`: bad frames and forged batches for every registered API and version, against a real broker process.

    python -m tests.fuzz.run [--seed 1] [--frames 10000]      frames per API; the same seed sends the same bytes

Stints of fire alternate with quiet ones, in which only the bystander works, so that its p99 in both is of the same
machine. The verdict, one JSON line on stdout and an exit code: the broker lives, no handler threw, its memory grew by
less than 50 MB, nobody but the sender of a bad frame was hung up on, every forgery got its code, and the bystander's
p99 under fire is under twice the quiet one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from broker.api.registry import Api, all_apis
from tests.cores import apart
from tests.faults.brokers import SMALL, Brokers
from tests.fuzz import bystander, lurkers
from tests.fuzz.bystander import Report
from tests.fuzz.forging import FORGED, check_forgeries, check_names
from tests.fuzz.mutations import BAD_LENGTHS, MUTATIONS
from tests.fuzz.requests import TOPICS, Maker, Words
from tests.fuzz.target import ANSWER_S, PATIENCE_S, Outcome, Target, Wrong, read_answer
from tests.fuzz.topics import put_right

GROWTH_BYTES = 50 << 20
FIRE_S, QUIET_S = 3.0, 1.5
FIRE_NICE = 10
MAY_WAIT = frozenset((0, 1, 11, 14))
"""Produce without acks, long polls, and joins that wait for others: silence is no fault there."""
FAULTY_LINES = ("failed:", "Traceback", "cannot be answered", "Exception")
"""What the broker says of itself when a handler threw something that is no Kafka error."""


@dataclass(kw_only=True)
class Tally:
    """What was sent, and what came of it."""

    frames: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    fire: list[tuple[float, float]] = field(default_factory=list)
    """(begin, end) of each stint, by the monotonic clock."""

    def count(self, api: str, outcome: Outcome) -> None:
        self.frames[api] = self.frames.get(api, 0) + 1
        self.outcomes[outcome.value] = self.outcomes.get(outcome.value, 0) + 1


class Fire:
    """The frames of a seed, one after the other."""

    def __init__(self, address: tuple[str, int], seed: int, tally: Tally) -> None:
        self._target, self._tally, self._seed = Target(address), tally, seed
        self._words = Words(topic_ids=())
        self.clean()
        self._correlation = 0
        self._stint_began = time.monotonic()

    def warm_up(self) -> None:
        """Every API and version once, as it should be: what is loaded at first use is no growth."""
        for api in all_apis():
            maker = self._maker(api)
            for version in range(api.low, api.high + 1):
                for _ in range(2):
                    self._right(api, version, maker)

    def at(self, api: Api, frames: int) -> None:
        """`frames` frames for all versions of one API together: first cut at every byte, then by chance."""
        rng, maker = random.Random(f"{self._seed}/{api.key}"), self._maker(api)
        versions = range(api.low, api.high + 1)
        left = frames
        for version in versions:
            frame = maker.frame(api.key, version, self._next())
            for size in range(min(len(frame), frames // (3 * len(versions)))):
                self._send(api, frame[:size])
                left -= 1
        for number in range(left):
            version = versions[number % len(versions)]
            if number % 10 == 0:
                self._right(api, version, maker)
                continue
            self._send(api, self._bad(rng, maker, api, version))

    def _maker(self, api: Api) -> Maker:
        return Maker(random.Random(f"{self._seed}/{api.key}/maker"), self._words)

    def _bad(self, rng: random.Random, maker: Maker, api: Api, version: int) -> bytes:
        frame = maker.frame(api.key, version, self._next(), wildness=rng.choice((0.0, 0.1, 0.4, 0.9)))
        if rng.random() < 0.4:
            return frame
        for _ in range(rng.choice((1, 1, 1, 3))):
            if len(frame) > 9:
                frame = rng.choice(MUTATIONS)(rng, frame)
        return frame

    def _right(self, api: Api, version: int, maker: Maker) -> None:
        """A request as it should be; its answer must be one of this API."""
        frame = maker.frame(api.key, version, self._next())
        outcome, answer = self._asked(frame, PATIENCE_S if api.key in MAY_WAIT else ANSWER_S)
        self._tally.count(api.name, outcome)
        if outcome is Outcome.ANSWERED:
            self._watch(lambda: read_answer(api.key, version, answer))
        elif api.key not in MAY_WAIT:
            self._fault(f"{api.name} version {version}: {outcome.value} after a right request {frame.hex()}")

    def _send(self, api: Api, frame: bytes) -> None:
        outcome, _ = self._asked(frame, PATIENCE_S)
        self._tally.count(api.name, outcome)
        self._pause()

    def lengths(self) -> None:
        """What is no frame at all."""
        for name, data in BAD_LENGTHS:
            outcome, _ = self._target.send(data, PATIENCE_S)
            self._tally.count(name, outcome)
            self._target.close()

    def _asked(self, frame: bytes, patience_s: float) -> tuple[Outcome, bytes]:
        try:
            return self._target.ask(frame, patience_s)
        except Wrong as wrong:
            self._fault(str(wrong))
            return Outcome.ANSWERED, b""

    def _watch(self, check: object) -> None:
        try:
            check()  # type: ignore[operator]
        except Wrong as wrong:
            self._fault(str(wrong))

    def _fault(self, text: str) -> None:
        self._tally.faults.append(text[:600])

    def _next(self) -> int:
        self._correlation += 1
        return self._correlation

    def _pause(self) -> None:
        """After a stint of fire, quiet for the bystander's other half."""
        now = time.monotonic()
        if now - self._stint_began > FIRE_S:
            self._tally.fire.append((self._stint_began, now))
            time.sleep(QUIET_S)
            self._stint_began = time.monotonic()

    def clean(self) -> None:
        """Topics that bad requests made are rightly made: they go, so that memory is compared like with like."""
        self._words = Words(topic_ids=put_right(self._target, TOPICS, keep=(bystander.TOPIC, FORGED)))
        self._target.close()


def p99(values: list[float]) -> float:
    """Seconds; 0 of nothing."""
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


def halves(report: Report, fire: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """(under fire, quiet): the bystander's seconds, by when each began."""
    under: list[float] = []
    quiet: list[float] = []
    for began, took in zip(report.began, report.took, strict=True):
        (under if any(begin <= began < end for begin, end in fire) else quiet).append(took)
    return under, quiet


def fuzz(directory: Path, seed: int, frames: int, *, as_if_elsewhere: bool = False) -> dict[str, object]:
    """The whole run against a broker of its own; the verdict.

    `as_if_elsewhere`: the broker has a core to itself, and on the others the fire, from now on, gives way to the
    bystander, so that what the bystander feels of the fire is the broker's doing, as if it came from other machines.
    """
    brokers = Brokers(directory, 1, flags=(*SMALL, "--config", "auto.create.topics.enable=false"))
    with apart() if as_if_elsewhere else nullcontext(lambda: None) as leave_the_core:
        brokers.start()
        leave_the_core()
        other = bystander.Bystander(("127.0.0.1", brokers.ports[0]))
        if as_if_elsewhere:
            os.nice(FIRE_NICE)
        try:
            return _fuzz(brokers, other, seed, frames)
        finally:
            if brokers.running:
                brokers.stop()


def _fuzz(brokers: Brokers, other: bystander.Bystander, seed: int, frames: int) -> dict[str, object]:
    address, process, tally = ("127.0.0.1", brokers.ports[0]), psutil.Process(brokers.pid(0)), Tally()
    fire = Fire(address, seed, tally)
    fire.warm_up()
    tally.faults += check_forgeries(address) + check_names(address)
    fire.clean()
    before = process.memory_info().rss
    lurking = lurkers.begin(address)
    peak = before
    for api in all_apis():
        fire.at(api, frames)
        fire.lengths()
        fire.clean()
        peak = max(peak, process.memory_info().rss)
        print(f"{api.name}: {tally.frames.get(api.name, 0)} frames, {len(tally.faults)} faults, "
              f"{(peak - before) / 2**20:.0f} MiB more", file=sys.stderr)  # fmt: skip
    tally.faults += lurkers.end(lurking)
    report = other.stop()
    alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return _verdict(brokers, tally, report, growth=peak - before, alive=alive)


def _verdict(brokers: Brokers, tally: Tally, report: Report, *, growth: int, alive: bool) -> dict[str, object]:
    under, quiet = halves(report, tally.fire)
    ratio = p99(under) / p99(quiet) if quiet and under else 0.0
    said = [line for line in brokers.narration(0, lines=100_000).splitlines() if any(w in line for w in FAULTY_LINES)]
    faults = [*tally.faults, *report.faults, *said]
    if not alive:
        faults.append("the broker is gone")
    if growth >= GROWTH_BYTES:
        faults.append(f"memory grew by {growth / 2**20:.0f} MiB")
    return {
        "ok": not faults, "frames": sum(tally.frames.values()), "apis": len(all_apis()), "outcomes": tally.outcomes,
        "growth_mib": round(growth / 2**20, 1), "bystander_pairs": len(report.took), "p99_ratio": round(ratio, 2),
        "p99_quiet_ms": round(1000 * p99(quiet), 2), "p99_fire_ms": round(1000 * p99(under), 2), "faults": faults[:50],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument(
        "--most-times-p99", type=float, default=2.0, help="the bystander's p99 under fire over its quiet one"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streampilot-fuzz-") as directory:
        verdict = fuzz(Path(directory), asked.seed, asked.frames, as_if_elsewhere=True)
    print(json.dumps(verdict, indent=2))
    return 0 if verdict["ok"] and float(str(verdict["p99_ratio"])) < asked.most_times_p99 else 1


if __name__ == "__main__":
    sys.exit(main())
