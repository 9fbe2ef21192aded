"""Which partitions a classic consumer was given, from the bytes of its assignment.

Kafka's layout: version INT16, then an array of (topic STRING, partitions ARRAY of INT32), then user data that is of no
interest here. The bytes come from clients, so every length is checked and what does not fit counts as nothing.
"""

from __future__ import annotations

import struct

from agent.collect.shapes import PartitionId

MOST_PARTITIONS = 100_000


def assigned_partitions(assignment: bytes | None) -> tuple[PartitionId, ...]:
    """The partitions in an assignment; none where the bytes are not a consumer's."""
    if not assignment:
        return ()
    try:
        return tuple(_read(memoryview(assignment)))
    except (struct.error, UnicodeDecodeError, ValueError):
        return ()


def _read(data: memoryview) -> list[PartitionId]:
    (topics,) = struct.unpack_from(">i", data, 2)
    at = 6
    found: list[PartitionId] = []
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", data, at)
        topic = bytes(data[at + 2 : at + 2 + length]).decode()
        at += 2 + length
        (count,) = struct.unpack_from(">i", data, at)
        if length < 0 or not 0 <= count <= MOST_PARTITIONS - len(found):
            raise ValueError("a length that cannot be")
        found += [(topic, number) for number in struct.unpack_from(f">{count}i", data, at + 4)]
        at += 4 + 4 * count
    return found
