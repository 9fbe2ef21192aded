"""Where the workload's records go."""

from __future__ import annotations

TOPICS = {"once": True, "plain": False}
"""Topic to whether its producers are idempotent."""
PARTITIONS = 6
PLACES = tuple((topic, partition) for topic in TOPICS for partition in range(PARTITIONS))
