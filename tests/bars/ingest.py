"""What the agent's data plane costs: `python -m tests.bars.ingest [--series N] [--quick]`.

A server on loopback (a process of its own) gives pages of the mixed data; a collector scrapes, parses and commits them
as the agent does, in this process, whose CPU seconds are counted with those of its threads:

    fast     five targets of 20,000 known series: samples per CPU second, from the socket to the committed round
    steady   one target of 10,000 series every 15 s: the share of a core, an hour's roll-off and rollups included
    large    200,000 new series in one scrape, then again: the peak of this process's memory

The last line is the verdict.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent.collect.collector import Collector, Watch
from agent.collect.scrape import Target
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from tests.bars.mixed import INTERVAL_S, names, page, values

FAST_BAR, STEADY_BAR, LARGE_BAR = 1_000_000, 0.015, 512_000_000
START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


def serve(series: int, pages: int) -> None:
    """Prints its port, then answers with one page after the other, as long as stdin is open."""
    keys = names(series)
    bodies = [page(keys, row) for row in values(series, pages)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        count = 0

        def do_GET(self) -> None:
            body = bodies[Handler.count // 5 % pages]
            Handler.count += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def served(series: int, pages: int = 8) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bars.ingest", "--serve", str(series), str(pages)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/metrics"
    finally:
        server.kill()
        server.wait()


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Line:
    """A collector on a hand-wound clock: rounds come one after the other, stamped 15 s apart."""

    def __init__(self, directory: Path, urls: list[str]) -> None:
        self.clock = HandClock(START)
        self.store = SampleStore(directory, clock=self.clock)
        watch = Watch(cluster="c", targets=tuple(Target(url=url) for url in urls), timeout_s=60.0)
        self.collector = Collector(watch, self.store, None, clock=self.clock)

    def rounds(self, count: int) -> int:
        """Samples that were stored."""
        before = self.store.stored
        for _ in range(count):
            self.clock.wind(INTERVAL_S)
            done = self.collector.round()
            if done.down or not done.stored:
                raise SystemExit(f"a round failed: {dict(done.down)} {self.store.said}")
        return self.store.stored - before

    def close(self) -> None:
        self.collector.close()
        self.store.close()


def fast(directory: Path, series: int, rounds: int) -> dict[str, float]:
    with served(series) as url:
        line = Line(directory, [f"{url}?{n}" for n in range(5)])
        line.rounds(2)
        best, all_samples, began = 0.0, 0, cpu_s()
        for _ in range(rounds):
            before = cpu_s()
            samples = line.rounds(1)
            all_samples += samples
            best = max(best, samples / (cpu_s() - before))
        rate = all_samples / (cpu_s() - began)
        line.close()
    return {"rate": rate, "best": best, "samples": all_samples}


def steady(directory: Path, series: int, rounds: int) -> dict[str, float]:
    with served(series) as url:
        line = Line(directory, [url])
        line.rounds(2)
        began, wall = cpu_s(), time.monotonic()
        line.rounds(rounds)
        rounds_s = cpu_s() - began
        line.clock.wind(3600)
        line.store.maintain(line.clock.now())
        share = (cpu_s() - began) / (rounds * INTERVAL_S)
        line.close()
    return {"share": share, "round_ms": rounds_s / rounds * 1000, "wall_s": time.monotonic() - wall}


def large(directory: Path, series: int) -> dict[str, float]:
    with served(series, 2) as url:
        line = Line(directory, [url])
        began = cpu_s()
        line.rounds(1)
        first = cpu_s() - began
        line.rounds(3)
        line.store.maintain(line.clock.now())
        line.close()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0, "first_s": first}


def alone(name: str, *sizes: int) -> dict[str, float]:
    """In a process of its own, so that one part's memory is not another's."""
    with tempfile.TemporaryDirectory(prefix="ingest-") as place:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bars.ingest", "--part", name, place, *map(str, sizes)],
            stdout=subprocess.PIPE, text=True, check=True, timeout=1800,
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--serve", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
    if options.part:
        name, place, *sizes = options.part
        parts = {"fast": fast, "steady": steady, "large": large}
        print(json.dumps(parts[name](Path(place), *map(int, sizes))))
        return 0
    fast_rounds, hour = (4, 40) if options.quick else (20, 240)
    found = alone("fast", 20_000, fast_rounds)
    print(
        f"fast    {found['rate']:,.0f} samples per CPU second over {found['samples']:,.0f} samples, "
        f"{found['best']:,.0f} in the best round (bar {FAST_BAR:,})",
        flush=True,
    )
    even = alone("steady", 10_000, hour)
    print(
        f"steady  {even['share']:.2%} of a core for 10,000 series every {INTERVAL_S} s, {even['round_ms']:.0f} ms of "
        f"CPU a round, the hour's roll-off included (bar {STEADY_BAR:.1%})",
        flush=True,
    )
    much = alone("large", 200_000)
    print(
        f"large   {much['peak'] / 1e6:.0f} MB at the peak for 200,000 series in one scrape, {much['first_s']:.1f} s of "
        f"CPU for the first (bar {LARGE_BAR / 1e6:.0f} MB)",
        flush=True,
    )
    ok = found["rate"] >= FAST_BAR and even["share"] < STEADY_BAR and much["peak"] < LARGE_BAR
    print(f"{'ok' if ok else 'FAILED'}{' (a quick run)' if options.quick else ''}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
