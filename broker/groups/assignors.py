"""Who reads what in a group of the new protocol (KIP-848): the assignors a broker has, pure.

uniform   as even as can be, and every member keeps what it has where that allows it
range     each topic's partitions in rows, a row to each of its members: partitions of the same number go together

Both give every partition of every topic that somebody subscribes to, to exactly one of its subscribers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heapify, heapreplace
from uuid import UUID

Place = tuple[UUID, int]
"""A partition by the id of its topic."""
Places = frozenset[Place]
Target = dict[str, Places]
"""Member id to its share."""
_MOST_ROUNDS = 1000


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One member, as an assignor sees it."""

    order: str
    """What members are sorted by: the instance id of a static one, so that it gets the same share again."""
    topics: frozenset[UUID]
    had: Places
    """Its share of the last time."""


def assign_range(members: Mapping[str, Candidate], sizes: Mapping[UUID, int]) -> Target:
    """`sizes` is topic id to its number of partitions."""
    shares: dict[str, set[Place]] = {member: set() for member in members}
    for topic, size in sorted(sizes.items()):
        readers = sorted(
            (member for member, each in members.items() if topic in each.topics), key=lambda m: (members[m].order, m)
        )
        if not readers:
            continue
        least, more = divmod(size, len(readers))
        at = 0
        for number, member in enumerate(readers):
            end = at + least + (number < more)
            shares[member].update((topic, index) for index in range(at, end))
            at = end
    return {member: frozenset(share) for member, share in shares.items()}


def assign_uniform(members: Mapping[str, Candidate], sizes: Mapping[UUID, int]) -> Target:
    """Keeps, fills up, and then evens out where subscriptions differ."""
    if not members:
        return {}
    shares = _kept(members, sizes)
    taken = {place for share in shares.values() for place in share}
    wanted = frozenset[UUID]().union(*(each.topics for each in members.values()))
    read = sorted((topic, size) for topic, size in sizes.items() if topic in wanted)
    free = [(topic, i) for topic, size in read for i in range(size) if (topic, i) not in taken]
    if len({each.topics for each in members.values()}) == 1:
        _fill(shares, free)
    else:
        _fill_by_subscription(members, shares, free)
        _even_out(members, shares)
    return {member: frozenset(share) for member, share in shares.items()}


def _kept(members: Mapping[str, Candidate], sizes: Mapping[UUID, int]) -> dict[str, list[Place]]:
    """What everyone may keep: it exists, is subscribed to, and (where all read the same) is not more than their due."""
    same = len({each.topics for each in members.values()}) == 1
    wanted = next(iter(members.values())).topics if same else frozenset()
    least, more = divmod(sum(size for topic, size in sizes.items() if topic in wanted), len(members))
    shares: dict[str, list[Place]] = {}
    seen: set[Place] = set()
    ordered = sorted(members, key=lambda m: (-len(members[m].had), members[m].order, m))
    for member in ordered:
        each = members[member]
        share = [
            place
            for place in sorted(each.had)
            if place not in seen and place[0] in each.topics and place[1] < sizes.get(place[0], 0)
        ]
        if same:
            due = least + (more > 0)
            more -= len(share) >= due and more > 0
            share = share[:due]
        seen.update(share)
        shares[member] = share
    return shares


def _fill(shares: dict[str, list[Place]], free: list[Place]) -> None:
    """Each to whoever has least."""
    heap = [(len(share), member) for member, share in shares.items()]
    heapify(heap)
    for place in free:
        size, member = heap[0]
        shares[member].append(place)
        heapreplace(heap, (size + 1, member))


def _fill_by_subscription(members: Mapping[str, Candidate], shares: dict[str, list[Place]], free: list[Place]) -> None:
    """Each to the subscriber that has least; topics with few subscribers first, since those have no choice."""
    readers: dict[UUID, list[str]] = {}
    for member, each in members.items():
        for topic in each.topics:
            readers.setdefault(topic, []).append(member)
    for place in sorted(free, key=lambda place: (len(readers[place[0]]), place)):
        shares[min(readers[place[0]], key=lambda m: (len(shares[m]), m))].append(place)


def _even_out(members: Mapping[str, Candidate], shares: dict[str, list[Place]]) -> None:
    """Moves single partitions from who has most to who has two fewer and may read them, as long as there are any."""
    for _ in range(_MOST_ROUNDS):
        if not any(_move_one(members, shares, giver) for giver in sorted(shares, key=lambda m: (-len(shares[m]), m))):
            return


def _move_one(members: Mapping[str, Candidate], shares: dict[str, list[Place]], giver: str) -> bool:
    for taker in sorted(shares, key=lambda m: (len(shares[m]), m)):
        if len(shares[giver]) - len(shares[taker]) < 2:
            return False
        topics = members[taker].topics
        place = next((place for place in reversed(shares[giver]) if place[0] in topics), None)
        if place is not None:
            shares[giver].remove(place)
            shares[taker].append(place)
            return True
    return False


ASSIGNORS: Mapping[str, Callable[[Mapping[str, Candidate], Mapping[UUID, int]], Target]] = {
    "uniform": assign_uniform,
    "range": assign_range,
}
"""By Kafka's names, the default first."""
