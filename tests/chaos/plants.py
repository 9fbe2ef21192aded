"""`python -m tests.chaos.plants [NAME ...]`: plants known bugs and asks whether the checker finds them.

For each plant, rounds with seeds counting up run under faults aimed at it, until the anomaly it must cause is found;
ten seeds at most. Then the build without it must be clean under the same faults on the same seeds: a checker that
cries wolf finds everything. The last line says how many were found; exit 0 only when it is all of them.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.chaos.cells import CELLS, SHORT
from tests.chaos.faults import CALM, Profile
from tests.chaos.launch import Manner
from tests.chaos.planted import PLANTS
from tests.chaos.proxy import Weather
from tests.chaos.run import Outcome, Plan, run_cell

SEEDS = 10
SECONDS = 15.0
PER_S = 1_500.0
KILLS = replace(CALM, kills=12)
ZOMBIES = replace(CALM, zombies=10)


@dataclass(frozen=True, kw_only=True)
class Hunt:
    """Under what a plant must show, and as what."""

    shows: frozenset[str]
    """Kinds of anomaly, any of them."""
    cell: str = "sqlite-file-disk"
    profile: Profile = KILLS
    before_sync_ms: int = 0
    after_sync_ms: int = 0
    metadata_ms: int = 0
    strict: bool = False
    times: dict[str, float] = field(default_factory=dict)

    def plan(self, plant: str, seed: int) -> Plan:
        manner = Manner(
            board="",
            logs={**SHORT, **self.times},
            before_sync_ms=self.before_sync_ms,
            after_sync_ms=self.after_sync_ms,
            metadata_ms=self.metadata_ms,
        )
        return Plan(
            cell=CELLS[self.cell],
            rounds=1,
            seconds_each=SECONDS,
            seed=seed,
            profile=self.profile,
            per_s=PER_S,
            manner=manner,
            plant=plant,
            strict=self.strict,
            collect=False,
        )


LOST = frozenset({"lost", "vanished", "two values", "position gone", "poll went back", "skipped", "reader stuck"})
HUNTS = {
    "ack before sync": Hunt(shows=LOST, before_sync_ms=40),
    "lease-only fence": Hunt(shows=LOST, profile=ZOMBIES, metadata_ms=100),
    "commit before upload": Hunt(shows=frozenset({"missing object"})),
    "fence at LIST-max": Hunt(
        shows=LOST, cell="pg-s3-object", profile=replace(KILLS, always=Weather(stale_s=15.0, delayed=0.3, delay_s=0.2))
    ),
    "fence deleted": Hunt(shows=LOST, cell="sqlite-file-object", profile=ZOMBIES, metadata_ms=200),
    "high watermark early": Hunt(shows=LOST, before_sync_ms=40),
    "recovery without producer state": Hunt(shows=frozenset({"duplicate", "out of order"}), after_sync_ms=40),
    "trim before commit": Hunt(shows=LOST),
    "stale controller": Hunt(
        shows=frozenset({"ended for nothing"}), cell="sqlite-file-object", profile=ZOMBIES, metadata_ms=100, strict=True
    ),
}


def live(hunt: Hunt, plant: str, seed: int) -> Outcome:
    """One round; what is kept of a clean one is nothing."""
    directory = Path(tempfile.mkdtemp(prefix="streampilot-plant-"))
    outcome = run_cell(hunt.plan(plant, seed), directory)
    if outcome.clean or plant:
        shutil.rmtree(directory, ignore_errors=True)
    return outcome


def hunt_down(name: str, first_seed: int) -> bool:
    """Whether the plant was found, and nothing was where there was nothing."""
    hunt = HUNTS[name]
    for seed in range(first_seed, first_seed + SEEDS):
        shown = [anomaly for anomaly in live(hunt, name, seed).anomalies if anomaly.kind in hunt.shows]
        if shown:
            print(f"found {name} with seed {seed}: {shown[0]}", flush=True)
            break
    else:
        print(f"MISSED {name}: {SEEDS} seeds from {first_seed} on", flush=True)
        return False
    for clean_seed in range(first_seed, seed + 1):
        outcome = live(hunt, "", clean_seed)
        if not outcome.clean:
            print(f"CRIED WOLF on {name}: without it seed {clean_seed} has {next(iter(outcome.anomalies))}", flush=True)
            return False
    print(f"      without it seeds {first_seed} to {seed} are clean", flush=True)
    return True


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"of: {', '.join(PLANTS)}")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    names = given.name or list(PLANTS)
    found = [name for name in names if hunt_down(name, given.seed)]
    print(f"{'FOUND' if len(found) == len(names) else 'NOT FOUND'}: {len(found)} of {len(names)} plants", flush=True)
    return 0 if len(found) == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
