"""Damaged files of closed hours: each costs queries its own rows, is kept, and is said; nothing is ever answered wrong.

Samples, rollups and names of series are cut, flipped, zeroed, overwritten, emptied and deleted, before a store opens
and under one that has read them already. Then PromQL asks for each sample: a whole hour's must come as they were
written, the damaged one's as written or not at all, and then with a warning that names the file. Some carry no
checksum, as those of earlier releases.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from agent.model.clock import HandClock, SystemClock
from agent.promql.engine import Engine
from agent.promql.query import Settings
from agent.promql.stored import StoredSource
from agent.store.batch import Batch
from agent.store.samples import SampleStore
from agent.store.seal import MARK
from tests.faults.agent.damage import damage
from tests.faults.agent.verdict import Verdict

START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
HOURS, SERIES, STEP_S = 3, 40, 60
KINDS = ("flip", "cut", "zeroes", "flip", "noise", "empty", "flip", "footer", "text", "gone")
FILES = ("hours/samples_2026112217", "rollups/rollups_2026112217", "hours/samples_2026112216", "hours/series")


def model(directory: Path) -> None:
    """Closed hours, and one that runs."""
    rng = np.random.default_rng(1)
    store = SampleStore(directory, clock=HandClock(START))
    ids = np.array([store.series_id("c", "t", "m", (("n", str(n)),)) for n in range(SERIES)], dtype=np.int32)
    for step in range(HOURS * 3600 // STEP_S + 3):
        at = START + timedelta(seconds=step * STEP_S)
        store.write(Batch(at=at, series=ids, values=np.cumsum(rng.random(SERIES)) + step * 10))
    store.maintain(START + HOURS * timedelta(hours=1, seconds=20))
    store.close()


def unsealed(file: Path) -> None:
    """As an earlier release wrote it."""
    draft = file.with_suffix(".old")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_parquet('{file}')) TO '{draft}' (FORMAT parquet, COMPRESSION zstd)")
    assert MARK.encode() not in draft.read_bytes()
    draft.replace(file)


def spoil(file: Path, kind: str, rng: random.Random) -> None:
    if kind == "gone":
        file.unlink()
    elif kind == "footer":
        data = bytearray(file.read_bytes())
        data[-1 - rng.randrange(400)] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
    else:
        damage(file, kind, rng)


def asked(store: SampleStore) -> tuple[dict[tuple[str, int], str], list[str]]:
    """Every sample by its series and minute; the warnings."""
    engine = Engine(source=StoredSource(store), clock=SystemClock(), settings=Settings())
    end_ms = int((START + timedelta(hours=HOURS)).timestamp() * 1000)
    answer = engine.instant(f"m[{HOURS}h]", end_ms)
    found = {(one["metric"]["n"], int(at)): value for one in answer["result"] for at, value in one["values"]}
    assert store.rollups(np.arange(SERIES, dtype=np.int32), START, START + timedelta(hours=HOURS)) is not None
    return found, answer.get("warnings", [])


def look(place: Path, file: str, kind: str, rng: random.Random, whole: dict[Any, str], *, running: bool) -> str:
    """What is wrong after one damage; empty where nothing is."""
    path = place / f"{file}.parquet"
    store = SampleStore(place, clock=HandClock(START)) if running else None
    if store is not None and asked(store)[0] != whole:
        return "the model is not whole"
    before = path.read_bytes()
    spoil(path, kind, rng)
    spoiled = path.read_bytes() if kind != "gone" else b""
    store = store or SampleStore(place, clock=HandClock(START))
    try:
        store.maintain(START + HOURS * timedelta(hours=1, seconds=30))
        found, warnings = asked(store)
        notes = " ".join(store.notes())
    finally:
        store.close()
    hour = file.rpartition("_")[2]
    lost = {at for _, at in whole.keys() - found.keys()}
    if wrong := [key for key, value in found.items() if whole.get(key) != value]:
        return f"{len(wrong)} values are wrong"
    if any(f"{datetime.fromtimestamp(at, UTC):%Y%m%d%H}" != hour for at in lost):
        return "another hour lost samples"
    if lost and not any(path.name in line for line in warnings):
        return f"{len(lost)} rounds are missing without a warning"
    if spoiled == before or (kind == "gone" and file.startswith("rollups")):
        return ""
    if kind != "gone" and not any(digest(kept) == digest(spoiled) for kept in kept_files(path, spoiled)):
        return "the damaged file is not kept"
    return "" if path.name in notes or path.stem == "series" else "it is not said"


def kept_files(path: Path, spoiled: bytes) -> list[bytes]:
    aside = [file.read_bytes() for file in path.parent.glob(f"{path.name}.corrupt-*")]
    # A flip that neither the checksum covers nor a reader minds is no damage, and the file stays.
    return aside or ([path.read_bytes()] if path.exists() and MARK.encode() not in spoiled else [])


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spoilt(directory: Path, times: int, seed: int = 1) -> Verdict:
    rng = random.Random(seed)
    model(directory / "model")
    store = SampleStore(directory / "model", clock=HandClock(START))
    whole, _ = asked(store)
    store.close()
    bad, running = [], 0
    for n in range(times):
        place, file, kind = directory / f"spoilt-{n:02}", FILES[n % len(FILES)], KINDS[n % len(KINDS)]
        shutil.copytree(directory / "model", place)
        old = n % 5 == 4 and kind not in ("flip", "zeroes", "noise")
        if old:
            unsealed(place / f"{file}.parquet")
        live = n % 3 == 2
        running += live
        if problem := look(place, file, kind, rng, whole, running=live):
            bad.append(f"{n}: {kind} in {file}{', of an earlier release' * old}{', running' * live}: {problem}")
        shutil.rmtree(place)
    print("".join(f"{line}\n" for line in bad), end="", file=sys.stderr)
    return Verdict(
        name="files",
        ok=not bad,
        figure=f"{times} damaged files of closed hours, {running} of them under a running store: {len(bad)} cost more "
        "than their own rows, were lost, or were not said",
    )
