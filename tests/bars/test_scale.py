"""The bar of 10,000 partitions in a reduced form: 1,000, a short idle time, and room for a busy machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bars.cluster import Cluster
from tests.bars.scale import Size, measure

SIZE = Size(topics=4, partitions=250, idle_s=5.0)
BUSY = 5.0
"""Other tests share the cores; the full form holds the bar itself."""


@pytest.mark.heavy
def test_a_thousand_partitions_are_cheap_to_have(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, flags=("--wal-size", "32MiB"))
    cluster.start()
    try:
        result = measure(cluster, SIZE)
    finally:
        cluster.stop()
    assert result.read_back == SIZE.total
    assert max(result.rss_bytes.values()) < 250e6
    assert max(result.scrape_cpu_s.values()) < 0.05
    assert max(result.idle_cpu.values()) < 0.15
    assert max(result.busy_step_s.values()) < 0.02 * BUSY
