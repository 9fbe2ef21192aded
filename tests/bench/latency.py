"""How long a produce takes at a fixed moderate rate, and a picture of all of them: one hump, or two?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench import raw
from tests.bench.arms import Arm
from tests.bench.raw import Load

RATES = (100, 500)
SECONDS = 4
QUANTILES = (0.5, 0.9, 0.99)
_WIDTH, _ROW, _LEFT = 900, 60, 260
_EDGES_MS = tuple(0.1 * 1.25**number for number in range(36))


def measure(arm: Arm, rate: int, number: int) -> list[float]:
    """Milliseconds of each request of 16 KiB to one partition, from when it was due."""
    topic = f"latency-{rate}-{number}"
    raw.make_topic(arm.address, topic, 1, arm.topic_settings)
    load = Load(name=topic, batch_bytes=16 << 10, partitions=1, together=1, requests=rate * SECONDS)
    return [1000 * took for took in raw.latencies(arm.address, topic, load, per_s=rate)]


def table(found: Mapping[tuple[str, int], Sequence[float]]) -> str:
    """A line for each arm and rate."""
    lines = ["| arm | requests/s | p50 ms | p90 ms | p99 ms |", "|---|---|---|---|---|"]
    for (name, rate), took in found.items():
        ordered = sorted(took)
        cells = " | ".join(f"{ordered[int(len(ordered) * share)]:.2f}" for share in QUANTILES)
        lines.append(f"| {name} | {rate} | {cells} |")
    return "\n".join(lines)


def picture(found: Mapping[tuple[str, int], Sequence[float]], path: Path) -> None:
    """An SVG: a histogram for each arm and rate, latency on a logarithmic axis."""
    parts, step = [], (_WIDTH - _LEFT) / len(_EDGES_MS)
    for row, ((name, rate), took) in enumerate(found.items()):
        base = (row + 1) * _ROW
        counts = _counts(took)
        parts.append(f'<text x="4" y="{base - 8}">{name}, {rate}/s</text>')
        for at, count in enumerate(counts):
            height = (_ROW - 12) * count / max(max(counts), 1)
            parts.append(f'<rect x="{_LEFT + at * step:.1f}" y="{base - height:.1f}" width="{step - 1:.1f}" '
                         f'height="{height:.1f}"/>')  # fmt: skip
    bottom = len(found) * _ROW + 16
    axis = [(_LEFT + at * step, _EDGES_MS[at]) for at in range(0, len(_EDGES_MS), 5)]
    parts += [f'<text x="{x:.1f}" y="{bottom}">{ms:.1f} ms</text>' for x, ms in axis]
    style = "<style>text{font:11px sans-serif}rect{fill:#3b6ea5}</style>"
    size = f'width="{_WIDTH}" height="{bottom + 8}"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{"".join(parts)}</svg>\n')


def _counts(took: Sequence[float]) -> list[int]:
    counts = [0] * len(_EDGES_MS)
    for each in took:
        counts[max(sum(each >= edge for edge in _EDGES_MS) - 1, 0)] += 1
    return counts
