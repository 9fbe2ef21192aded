"""How many partitions one request, and the whole cluster, may have (law 12)."""

from __future__ import annotations

from broker.api.context import Context
from broker.api.topics import broker_number
from broker.errors import InvalidPartitions
from broker.metadata.image import Image


class Room:
    """Of one request: asked for each topic before it grows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked = 0

    def take(self, partitions: int) -> None:
        """Room for so many more. InvalidPartitions that says how many there would be, and what bounds them."""
        self._asked += partitions
        most = broker_number(self._context, "max.partitions.per.request")
        if self._asked > most:
            raise InvalidPartitions(
                f"{self._asked} new partitions in one request; {most} may be: ask for fewer at a time, or raise"
                " max.partitions.per.request"
            )
        image: Image = self._context.metadata.image
        there = sum(len(topic.partitions) for topic in image.topics.values())
        most = broker_number(self._context, "max.partitions")
        if there + partitions > most:
            raise InvalidPartitions(
                f"{partitions} more partitions in a cluster of {there}; {most} may be: delete topics, or raise"
                " max.partitions"
            )
