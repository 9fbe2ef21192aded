"""Targets that answer with a million series or without an end, beside honest ones, and one that goes away.

`python -m tests.faults.agent.bomb DIR ROUNDS HONEST BOMB...` collects from the targets and prints one JSON line: the
process is its own, so that its memory can be told.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent.collect.collector import Collector, Watch
from agent.collect.scrape import read_target
from agent.model.clock import SystemClock
from agent.store.reading import Matcher, SeriesReader
from agent.store.samples import SampleStore
from tests.agent.collect.hand import MetricsServer
from tests.faults.agent.verdict import Verdict

MEMORY_BYTES = 512_000_000
SERIES = 1000
"""Of each honest target."""


@contextmanager
def streaming(kind: str) -> Iterator[str]:
    """A server whose page is a million series, or never ends; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            n = 0
            try:
                while kind == "endless" or n < 1_000_000:
                    if kind == "endless":
                        self.wfile.write(b"# a comment that goes on and on\n" * 4000)
                    else:
                        lines = (
                            b'bomb{id="%d",filler="some label that is not short"} 1\n' % i for i in range(n, n + 5000)
                        )
                        self.wfile.write(b"".join(lines))
                    n += 5000
            except OSError:
                return

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def collect(directory: Path, rounds: int, honest: list[str], bombs: list[str]) -> dict[str, object]:
    clock = SystemClock()
    store = SampleStore(directory, clock=clock)
    watch = Watch(cluster="c", targets=tuple(read_target(url) for url in [*honest, *bombs]))
    collector = Collector(watch, store, None, clock=clock)
    began = clock.now()
    down = [dict(collector.round().down) for _ in range(rounds)]
    reader = SeriesReader(store)
    ids = reader.series([Matcher(label="__name__", op="=", value="honest")], 0, 4_000_000_000_000).ids
    first, last = (int(at.timestamp() * 1000) for at in (began - timedelta(seconds=1), clock.now()))
    answer = {
        "down": down,
        "honest": len(reader.points(ids, first, last).values),
        "series": store.series_count,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    collector.close()
    store.close()
    return answer


def bombed(directory: Path, rounds: int, each: int = 2) -> Verdict:
    """`each` of both kinds of bomb, beside three honest targets of SERIES series."""
    servers = [MetricsServer("".join(f'honest{{n="{n}"}} {n}\n' for n in range(SERIES))) for _ in range(3)]
    with streaming("million") as million, streaming("endless") as endless:
        bombs = [f"{url}?{n}" for n in range(each) for url in (million, endless)]
        urls = [*(server.url for server in servers), *bombs]
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.agent.bomb", str(directory), str(rounds), *urls],
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
    for server in servers:
        server.stop()
    if done.returncode:
        return Verdict(name="bomb", ok=False, figure=done.stderr[-500:])
    seen = json.loads(done.stdout)
    said = all(
        ("series: nothing" in round[url] or "bytes: nothing" in round[url] or "no answer" in round[url])
        for round in seen["down"]
        for url in bombs
        if url in round
    )
    every = all(set(round) == set(bombs) for round in seen["down"])
    lost = rounds * 3 * SERIES - seen["honest"]
    return Verdict(
        name="bomb",
        ok=said and every and not lost and seen["peak"] < MEMORY_BYTES and seen["series"] < 4 * SERIES,
        figure=f"{2 * each} bombs in {rounds} rounds: {'all' if every else 'NOT all'} refused and said in the first "
        f"scrape, {lost} samples of 3 honest targets lost, {seen['series']} series stored, "
        f"peak memory {seen['peak'] / 1e6:.0f} MB (bar 512); said: {seen['down'][0].get(bombs[0], '')!r}",
    )


def down(directory: Path) -> Verdict:
    """One of three targets goes away: its `up`, its series' ends, and what the others lose."""
    clock = SystemClock()
    store = SampleStore(directory, clock=clock)
    servers = [MetricsServer("".join(f'honest{{n="{n}"}} {n}\n' for n in range(SERIES))) for _ in range(3)]
    targets = tuple(read_target(server.url) for server in servers)
    collector = Collector(Watch(cluster="c", targets=targets, timeout_s=2.0), store, None, clock=clock)
    for n in range(6):
        if n == 3:
            servers[0].stop()
        collector.round()
    reader, counts = SeriesReader(store), []
    for server in servers:
        instance = Matcher(label="instance", op="=", value=server.url.split("/")[2])
        up, honest = (
            reader.points(
                reader.series([instance, Matcher(label="__name__", op="=", value=name)], 0, 4_000_000_000_000).ids,
                0,
                4_000_000_000_000 - 1,
            ).values
            for name in ("up", "honest")
        )
        counts.append((up.tolist(), int((honest == honest).sum()), int((honest != honest).sum())))
    collector.close()
    store.close()
    for server in servers[1:]:
        server.stop()
    gone, others = counts[0], counts[1:]
    ok = gone == ([1.0] * 3 + [0.0] * 3, 3 * SERIES, SERIES) and all(
        other == ([1.0] * 6, 6 * SERIES, 0) for other in others
    )
    return Verdict(
        name="down",
        ok=ok,
        figure=f"up of the target over six rounds {[int(up) for up in gone[0]]}, {gone[2]} of its {SERIES} series "
        f"marked as ended once, {gone[1] - 3 * SERIES} samples made up; the others lost "
        f"{sum(6 * SERIES - other[1] for other in others)} samples",
    )


if __name__ == "__main__":
    place, count, honest_urls = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:6]
    print(json.dumps(collect(place, count, honest_urls, sys.argv[6:])))
