"""Which partition of its internal topic a group or a transactional id lives on: Kafka's own hash, since clients and
tools know it.
"""

from __future__ import annotations

from functools import lru_cache

from broker.errors import CoordinatorNotAvailable
from broker.metadata.image import NOBODY, Image, Partition

_INT_MIN = -(2**31)


def java_hash(text: str) -> int:
    """Java's `String.hashCode`: over UTF-16 code units, in signed 32 bits."""
    value = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


@lru_cache(10_000)
def partition_of(name: str, partitions: int) -> int:
    """The partition. Kafka's `Utils.abs` maps the smallest integer, which has no absolute value, to 0."""
    value = java_hash(name)
    return 0 if value == _INT_MIN else abs(value) % partitions


def home_in(image: Image, internal_topic: str, name: str) -> Partition:
    """The partition whose owner coordinates `name`; CoordinatorNotAvailable while nobody owns it."""
    topic = image.topics.get(internal_topic)
    if topic is None or not topic.partitions:
        raise CoordinatorNotAvailable(f"{internal_topic} is not there yet")
    home = topic.partitions[partition_of(name, len(topic.partitions))]
    if home.owner == NOBODY:
        raise CoordinatorNotAvailable(f"{internal_topic}-{home.index} has no owner now")
    return home
