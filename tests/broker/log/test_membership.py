"""Who is judged dead, in a cluster whose brokers are silent for more than one reason (law 11)."""

import asyncio
from typing import Any


async def test_a_broker_that_is_starved_keeps_no_dead_one_from_being_replaced(cluster: Any) -> None:
    """Both are silent, and the one whose process is seen to run comes first."""
    await cluster.start(0, running_session_s=3600.0)
    await cluster.start(1)
    cluster.wal = "objects"
    await cluster.start(2)
    metadata = cluster.metadata(0)
    buried = asyncio.Event()
    metadata.subscribe(lambda image: None if image.brokers[2].alive else buried.set())
    for broker in (1, 2):
        cluster.brokers[broker][1]._beating.cancel()
    await asyncio.wait_for(buried.wait(), 60)
    assert metadata.image.brokers[1].alive
