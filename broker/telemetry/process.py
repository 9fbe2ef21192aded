"""What the operating system says of this process, under the names every Prometheus client library uses."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from broker.telemetry.exposition import Page

_STATM = Path("/proc/self/statm")


def write_process(page: Page, started_ms: int) -> None:
    """CPU, memory and start."""
    page.one("process_cpu_seconds_total", time.process_time())
    page.one("process_resident_memory_bytes", resident_bytes())
    page.one("process_start_time_seconds", started_ms / 1000)


def resident_bytes() -> float:
    """Resident memory; where the system does not tell the current figure, the highest so far."""
    if _STATM.exists():
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(highest if sys.platform == "darwin" else highest * 1024)
