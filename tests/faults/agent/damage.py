"""A damaged database file: put aside byte for byte, said, and the store takes rounds again at once.

`python -m tests.faults.agent.damage DIR...` opens each damaged store and prints one JSON line for each: what became of
it. It is a process of its own, since damage might end it.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from agent.model.clock import SystemClock
from agent.store.errors import StoreError
from agent.store.samples import SampleStore
from tests.faults.agent.verdict import Verdict
from tests.faults.agent.writer import START, STEP, batch, torn

AGAIN_S = 5.0
ROUNDS = 60
KINDS = ("cut", "header", "zeroes", "noise", "flip", "empty", "text", "wal")


def whole_store(directory: Path, rounds: int = ROUNDS) -> None:
    """One closed hour in a file and the rest hot, all of it checkpointed."""
    store = SampleStore(directory, clock=SystemClock())
    for n in range(rounds):
        store.write(batch(store, START + n * STEP))
    store.maintain(START + timedelta(minutes=61))
    store.close()


def damage(file: Path, kind: str, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    at = rng.randrange(len(data))
    span = slice(at, min(len(data), at + rng.choice((64, 4096, 300_000))))
    if kind == "cut":
        del data[at:]
    elif kind == "header":
        data[: rng.choice((8, 64, 4096, 12288))] = rng.randbytes(8)
    elif kind == "zeroes":
        data[span] = bytes(span.stop - span.start)
    elif kind == "noise":
        data[span] = rng.randbytes(span.stop - span.start)
    elif kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "empty":
        data.clear()
    elif kind == "text":
        data[:] = b"not a database at all\n" * 500
    else:
        file.with_name(file.name + ".wal").write_bytes(rng.randbytes(5000))
        return
    file.write_bytes(data)


def look(directory: Path) -> dict[str, object]:
    """Opens a damaged store and writes until it takes a round."""
    file = directory / "samples.duckdb"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    began = time.monotonic()
    store = SampleStore(directory, clock=SystemClock())
    at, tries = START + ROUNDS * STEP, 1
    while not store.write(batch(store, at)):
        tries += 1
        at += STEP
    again_s = time.monotonic() - began
    try:
        found, broken = torn(store, START, at)
    except StoreError:
        store.write(batch(store, at + STEP))
        found, broken = torn(store, START, at + STEP)
    kept = [hashlib.sha256(kept.read_bytes()).hexdigest() for kept in directory.glob("samples.duckdb.corrupt-*")]
    said = any("was damaged and is kept" in line for line in store.said)
    store.close()
    return {
        "again_s": again_s,
        "tries": tries,
        "rounds": len(found),
        "torn": len(broken),
        "kept": before in kept,
        "quarantined": bool(kept),
        "said": said,
    }


def corrupted(directory: Path, times: int, seed: int = 1) -> Verdict:
    rng = random.Random(seed)
    model = directory / "model"
    whole_store(model)
    places = []
    for n in range(times):
        place = directory / f"damaged-{n:02}"
        shutil.copytree(model, place)
        damage(place / "samples.duckdb", KINDS[n % len(KINDS)], rng)
        places.append(place)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.agent.damage", *map(str, places)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    closed = 40  # rounds of the hour that was a file already
    bad = [
        (KINDS[n % len(KINDS)], one)
        for n, one in enumerate(seen)
        if one["again_s"] > AGAIN_S
        or one["torn"]
        or one["rounds"] < closed + 1
        or (one["quarantined"] and not (one["said"] and one["kept"]))
        or (not one["quarantined"] and one["rounds"] < ROUNDS + 1)
    ]
    if bad or len(seen) < times:
        print(f"{len(seen)} of {times} came to an end: {done.stderr[-500:]}\n{bad}", file=sys.stderr)
    put_aside = sum(one["quarantined"] for one in seen)
    slowest = max((one["again_s"] for one in seen), default=-1.0)
    return Verdict(
        name="corrupt",
        ok=len(seen) == times and not bad,
        figure=f"{times} damaged files: {put_aside} put aside and said, {len(seen) - put_aside} whole where it "
        f"mattered, {len(bad)} otherwise; rounds again after {slowest:.2f} s at most "
        f"(bar {AGAIN_S:g} s)",
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(look(Path(name))), flush=True)
