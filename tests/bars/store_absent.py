"""The store is absent under load: `python -m tests.bars.store_absent` (60 s at 20 MB/s; `--short` for 10 s).

One broker with its objects on an S3 API (moto) behind a line that is cut: half of the time connections are refused, the
other half they are taken and nothing comes back. Producers must slow down and not fail, what was acknowledged must be
there, full speed must be back within 10 s of the store's return, and the broker's memory stays under its bound
(docs/config.md). The last line is the verdict; exit 0 only when all of it holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from broker.log.config import LogsConfig, memory_bound_bytes
from tests.bars.cluster import Cluster, usage
from tests.bars.numbered import Writer, Written, read_back
from tests.chaos.services import BUCKET, CREDENTIALS, S3, environment_of
from tests.faults.wire import Wire

MIB = 1 << 20
PARTITIONS = 4
BACK_WITHIN_S = 10.0
FULL = 0.95
"""Of the rate that was asked for, over two seconds."""


class Memory:
    """The broker's largest resident size, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self.most_bytes = 0
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            self.most_bytes = max(self.most_bytes, usage(self._pid).rss_bytes)

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.most_bytes


def absence(wire: Wire, absent_s: float) -> float:
    """Cuts the line for so long; when it was mended, Unix time."""
    wire.refuse()
    time.sleep(absent_s / 2)
    wire.mend()
    wire.silent()
    time.sleep(absent_s / 2)
    wire.mend()
    return time.time()


def back_after(done: Written, mended: float, mb_per_s: float) -> float:
    """Seconds from the mending to the end of the first two whole seconds at full speed; infinite for none."""
    first = int(mended) + 1
    for second in range(first, max(done.bytes_by_second, default=0)):
        two = sum(done.bytes_by_second.get(each, 0) for each in (second, second + 1))
        if two >= FULL * 2 * mb_per_s * 1e6:
            return second + 2 - mended
    return float("inf")


def judge(done: Written, seen: set[int], twice: int, back_s: float, slowest: float, rss: int, bound: int) -> list[str]:
    """What does not hold."""
    lost = [number for number, acked in enumerate(done.acked) if acked and number not in seen]
    faults = [f"{len(lost)} acknowledged records are lost, such as {lost[0]}"] if lost else []
    faults += [f"{twice} records of an idempotent producer came twice"] if twice else []
    faults += [f"sends failed: {done.failed[0]}"] if done.failed else []
    faults += [f"full speed after {back_s:.1f} s, over {BACK_WITHIN_S:g}"] if back_s > BACK_WITHIN_S else []
    faults += ["producers did not slow down, so the absence proved nothing"] if slowest > 0.5 else []
    faults += [f"{rss // MIB} MiB of memory, over {bound // MIB}"] if rss > bound else []
    return faults


def run(
    directory: Path, *, absent_s: float, mb_per_s: float, pending_mib: int, after_s: float = BACK_WITHIN_S + 5
) -> list[str]:
    config = LogsConfig(wal_url="file://", wal_bytes=3 * pending_mib * MIB // 2, pending_limit_bytes=pending_mib * MIB)
    bound = memory_bound_bytes(config)
    flags = (
        *("--objects", f"s3://{BUCKET}/bar", "--pending-limit", f"{pending_mib}MiB"),
        *("--wal-size", f"{config.wal_bytes // MIB}MiB", "--upload-interval", "5", "--no-bill"),
    )
    with S3() as s3:
        wire = Wire("127.0.0.1", s3.port)
        cluster = Cluster(directory, 1, flags=flags)
        try:
            with environment_of({**CREDENTIALS, "AWS_ENDPOINT_URL": wire.url}):
                cluster.start()
            admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
            admin.create_topics([NewTopic("load", PARTITIONS, 1)])["load"].result(30)
            memory = Memory(cluster.pids[0])
            writer = Writer(cluster.bootstrap, "load", PARTITIONS, mb_per_s, directory / "acked")
            time.sleep(max(absent_s / 6, 3))
            cut = time.time()
            mended = absence(wire, absent_s)
            time.sleep(after_s)
            done = writer.stop()
            rss = memory.stop()
            seen, twice = read_back(cluster.bootstrap, "load", PARTITIONS)
        finally:
            cluster.stop()
            wire.close()
    late = [done.bytes_by_second.get(second, 0) for second in range(int(mended - absent_s / 4), int(mended))]
    slowest = sum(late) / max(len(late), 1) / (mb_per_s * 1e6)
    back_s = back_after(done, mended, mb_per_s)
    print(
        f"absent {mended - cut:.0f} s: {done.sent} sent, {sum(done.acked)} acknowledged, {len(seen)} read; at the end"
        f" of the absence {slowest:.0%} of {mb_per_s:g} MB/s; full speed after {back_s:.1f} s; {rss // MIB} MiB of"
        f" {bound // MIB} MiB memory"
    )
    start = int(cut) - 5
    print("MB/s by second:", [round(done.bytes_by_second.get(s, 0) / 1e6) for s in range(start, int(mended) + 16)])
    print(cluster.narration(0, 12))
    return judge(done, seen, twice, back_s, slowest, rss, bound)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="10 s of absence, and a limit of 64 MiB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streampilot-absent-") as directory:
        form = {"absent_s": 10.0, "pending_mib": 64} if given.short else {"absent_s": 60.0, "pending_mib": 256}
        faults = run(Path(directory), mb_per_s=20.0, **form)  # type: ignore[arg-type]
    for fault in faults:
        print(f"FAULT {fault}")
    print("NOT CLEAN" if faults else "CLEAN: slower, nothing lost, back in time, within memory", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
