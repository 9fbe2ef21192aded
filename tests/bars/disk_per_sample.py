"""Bytes per sample at rest: `python -m tests.bars.disk_per_sample [--series N] [--hours N]`.

The mixed data of a day at 15 s goes into the agent's store and is rolled off; the same data goes into Prometheus, as
OpenMetrics through Debian's `promtool tsdb create-blocks-from`, where that is installed (`apt-get install prometheus`).
What is counted is every file that stays. The last line is the verdict: the agent within the bar.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.collect.lines import Limits, read_line
from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.samples import SampleStore
from tests.bars.mixed import INTERVAL_S, names, values

BAR = 2.3
START = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)


def size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def agent(directory: Path, keys: list[str], table: NDArray[np.float64]) -> tuple[int, int]:
    """Bytes of samples and names, and of the rollups beside them."""
    store = SampleStore(directory, clock=HandClock(START))
    lines = [read_line(f"{key} 1".encode(), Limits()) for key in keys]
    ids = np.array([store.series_id("c", "t", line.name, line.labels) for line in lines if line], dtype=np.int32)
    for n, row in enumerate(table):
        at = START + timedelta(seconds=n * INTERVAL_S)
        store.write(Batch(at=at, series=ids, values=row))
        if n % 240 == 239:
            store.maintain(at + timedelta(minutes=1))
    store.close()
    return size(directory / "hours"), size(directory / "rollups")


def open_metrics(keys: list[str], table: NDArray[np.float64]) -> Iterator[str]:
    began = START.timestamp()
    for key, column in zip(keys, table.T, strict=True):
        yield "".join(f"{key} {value!r} {began + n * INTERVAL_S:.0f}\n" for n, value in enumerate(column.tolist()))


def prometheus(directory: Path, keys: list[str], table: NDArray[np.float64]) -> int | None:
    if shutil.which("promtool") is None:
        return None
    text, blocks = directory / "in.txt", directory / "blocks"
    with text.open("w") as out:
        out.writelines(open_metrics(keys, table))
        out.write("# EOF\n")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h", str(text), str(blocks)],
        check=True, capture_output=True, timeout=1800,
    )  # fmt: skip
    text.unlink()
    return size(blocks)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--hours", type=int, default=24)
    options = parser.parse_args()
    keys = names(options.series)
    table = values(options.series, options.hours * 3600 // INTERVAL_S)
    with tempfile.TemporaryDirectory(prefix="disk-per-sample-") as place:
        ours, rollups = agent(Path(place) / "agent", keys, table)
        beside = Path(place) / "prometheus"
        beside.mkdir()
        theirs = prometheus(beside, keys, table)
    each = ours / table.size
    print(f"{table.size:,} samples of {options.series} series")
    print(f"agent             {each:.2f} bytes a sample, and {rollups / table.size:.2f} for rollups (bar {BAR})")
    print(f"prometheus        {'is not installed' if theirs is None else f'{theirs / table.size:.2f} bytes a sample'}")
    print("ok" if each <= BAR else "FAILED")
    return 0 if each <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
