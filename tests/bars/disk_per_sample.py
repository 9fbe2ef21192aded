"""Bytes per sample at rest: `python -m tests.bars.disk_per_sample [--series N] [--hours N]`.

The mixed data of a day at 15 s goes into the agent's store and is rolled off; the same data goes into Prometheus, as
OpenMetrics through Debian's `promtool tsdb create-blocks-from`, where that is installed (`apt-get install prometheus`),
and into VictoriaMetrics by its import, in order of time, merged and stopped before it is measured (`apt-get install
victoria-metrics`); all its samples are read back first, since a figure of fewer would be of other data, and it rounds
values of many digits. What is counted is every file that stays. The last line is the verdict: the agent within the bar.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from agent.collect.lines import Limits, read_line
from agent.model.clock import HandClock
from agent.store.batch import Batch
from agent.store.samples import SampleStore
from tests.bars.mixed import INTERVAL_S, names, values
from tests.ports import free_port

BAR = 2.3
VICTORIA_ROWS = 60
"""Scrapes that go in one request."""
ANY = '{__name__!=""}'
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


def victoria(directory: Path, keys: list[str], table: NDArray[np.float64]) -> tuple[int, int] | None:
    """Bytes of samples and names, and how many values it rounded."""
    binary = shutil.which("victoria-metrics")
    if binary is None:
        return None
    url = f"http://127.0.0.1:{free_port()}"
    command = [binary, f"-storageDataPath={directory}", f"-httpListenAddr={url[7:]}", "-retentionPeriod=100y"]
    with (directory.parent / "victoria.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=url, timeout=600) as client:
            _until_up(client, process)
            for first in range(0, len(table), VICTORIA_ROWS):
                lines = "".join(_exposed(keys, table[first : first + VICTORIA_ROWS], first))
                client.post("/api/v1/import/prometheus", content=lines.encode()).raise_for_status()
            client.get("/internal/force_flush").raise_for_status()
            client.get("/internal/force_merge").raise_for_status()
            stored, changed = _read_back(client, keys, table)
    finally:
        process.terminate()
        process.wait(120)
    if stored != table.size:
        raise SystemExit(f"victoria-metrics has {stored:,} of {table.size:,} samples: its figure would be of others")
    return size(directory / "data") + size(directory / "indexdb"), changed


def _exposed(keys: list[str], rows: NDArray[np.float64], first: int) -> Iterator[str]:
    for n, row in enumerate(rows, start=first):
        at = int((START.timestamp() + n * INTERVAL_S) * 1000)
        yield "".join(f"{key} {value!r} {at}\n" for key, value in zip(keys, row.tolist(), strict=True))


def _until_up(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if client.get("/health").status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit("victoria-metrics did not start")


def _read_back(client: httpx.Client, keys: list[str], table: NDArray[np.float64]) -> tuple[int, int]:
    """How many samples it has, and how many of them are not what was written."""
    columns = {key: n for n, key in enumerate(keys)}
    count = changed = 0
    with client.stream("GET", "/api/v1/export", params={"match[]": ANY}) as answer:
        for line in answer.iter_lines():
            block = json.loads(line)
            labels = block["metric"]
            name = labels.pop("__name__")
            column = columns[f'{name}{{topic="{labels["topic"]}",partition="{labels["partition"]}",direction="in"}}']
            rows = (np.array(block["timestamps"]) // 1000 - int(START.timestamp())) // INTERVAL_S
            count += len(rows)
            changed += int((table[rows, column] != np.array(block["values"], dtype=np.float64)).sum())
    return count, changed


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
        victorias = victoria(Path(place) / "victoria", keys, table)
    each = ours / table.size
    print(f"{table.size:,} samples of {options.series} series")
    print(f"agent             {each:.2f} bytes a sample, and {rollups / table.size:.2f} for rollups (bar {BAR})")
    print(f"prometheus        {'is not installed' if theirs is None else f'{theirs / table.size:.2f} bytes a sample'}")
    said = "is not installed"
    if victorias is not None:
        said = f"{victorias[0] / table.size:.2f} bytes a sample, {victorias[1] / table.size:.1%} of the values rounded"
    print(f"victoria-metrics  {said}")
    print("ok" if each <= BAR else "FAILED")
    return 0 if each <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
