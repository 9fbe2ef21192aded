"""The topics a fuzzed broker has: those that requests may name, and those that bad requests made or deleted."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from tests.fuzz.bystander import ask, create
from tests.fuzz.target import Target

_METADATA, _DELETE = (3, 12), (20, 5)


def put_right(target: Target, topics: Sequence[str], keep: Sequence[str]) -> tuple[uuid.UUID, ...]:
    """Deletes every topic that is none of these and not the broker's own, and makes those of `topics` that are gone;
    their ids.
    """
    found = {each.name: each for each in ask(target, _METADATA, {"topics": None}).topics}
    names = [each.name for each in found.values() if each.name not in (*topics, *keep) and not each.is_internal]
    for first in range(0, len(names), 100):
        ask(target, _DELETE, {"topic_names": names[first : first + 100], "timeout": 20_000})
    gone = [topic for topic in topics if topic not in found]
    for topic in gone:
        create(target, topic, 2)
    if gone:
        found = {each.name: each for each in ask(target, _METADATA, {"topics": None}).topics}
    return tuple(found[topic].topic_id for topic in topics)
