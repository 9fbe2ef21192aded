"""A store that release 0.1.0 itself wrote (from the git history) is opened by this one: all of it is there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from agent.model.clock import SystemClock
from agent.store.samples import SampleStore
from tests.faults.agent.verdict import Verdict
from tests.faults.agent.writer import START, STEP, batch, torn
from tests.upgrade.rolling import PREVIOUS, ROOT

ROUNDS = 100
PROGRAM = """
import sys
from datetime import timedelta
from pathlib import Path
from agent.model.clock import SystemClock
from agent.store.samples import SampleStore
from tests.faults.agent.writer import START, STEP, batch
store = SampleStore(Path(sys.argv[1]), clock=SystemClock())
for n in range(int(sys.argv[2])):
    assert store.write(batch(store, START + n * STEP))
store.maintain(START + int(sys.argv[2]) * STEP)
store.close()
"""


def upgraded(directory: Path) -> Verdict:
    found = subprocess.run(
        ["git", "-C", str(ROOT), "archive", PREVIOUS, "agent"], capture_output=True, check=False, timeout=60
    )
    if found.returncode:
        return Verdict(name="upgrade", ok=None, figure=f"commit {PREVIOUS[:9]} is not here; fetch the whole history")
    old, store_dir = directory / "old", directory / "store"
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(old, filter="data")
    (old / "program.py").write_text(PROGRAM)
    here = {**os.environ, "PYTHONPATH": f"{old}{os.pathsep}{ROOT}"}
    subprocess.run(
        [sys.executable, str(old / "program.py"), str(store_dir), str(ROUNDS)], env=here, check=True, timeout=120
    )
    store = SampleStore(store_dir, clock=SystemClock())
    before = store.series_count
    end = START + ROUNDS * STEP
    stored = store.write(batch(store, end))
    store.maintain(end + timedelta(days=1))
    rounds, broken = torn(store, START, end)
    quarantined = list(store_dir.glob("*corrupt*"))
    ok = stored and len(rounds) == ROUNDS + 1 and not broken and not quarantined and store.series_count == before
    store.close()
    return Verdict(
        name="upgrade",
        ok=ok,
        figure=f"a store of 0.1.0: {len(rounds) - 1} of {ROUNDS} rounds there, {len(broken)} torn, "
        f"{before} series under the same numbers, {len(store.shelf.rollup_spans())} day of rollups made of it",
    )
