"""The admin column: a topic from creation to deletion, and a group. What a client lacks is left out, and said."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from tests.clients import reference
from tests.clients.cells import Ground
from tests.clients.driver import Driver, Reading
from tests.clients.records import records
from tests.clients.usual import read_all

_PATIENCE_S = 30.0
_LOOK_S = 0.05


class Admin(Protocol):
    """An admin client. Everything throws when the broker refuses it."""

    lacks: frozenset[str]
    """Which of these it does not have."""

    def create(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        """A new topic, three replicas."""

    def delete(self, topic: str) -> None:
        """A topic."""

    def partitions(self, topic: str) -> int:
        """How many there are; 0 without a topic."""

    def grow(self, topic: str, partitions: int) -> None:
        """To so many."""

    def alter(self, topic: str, name: str, value: str) -> None:
        """One config."""

    def config(self, topic: str, name: str) -> str:
        """Its value."""

    def groups(self) -> set[str]:
        """Their names."""

    def group(self, group: str) -> tuple[str, int]:
        """State and number of members."""

    def delete_group(self, group: str) -> None:
        """One that is empty."""

    def delete_records(self, topic: str, partition: int, before: int) -> int:
        """Where the partition starts then."""

    def close(self) -> None:
        """Ends it."""


def administer(driver: Driver, admin: Admin, ground: Ground) -> list[str]:
    """Each answer is looked at; what was changed is asked again."""
    topic, group = ground.name, f"{ground.name}-group"
    sent = records(ground.records)
    with closing(admin):
        admin.create(topic, 2, {"retention.ms": "3600000"})
        faults = _becomes("retention.ms as created", lambda: admin.config(topic, "retention.ms"), "3600000")
        admin.alter(topic, "retention.ms", "7200000")
        faults += _becomes("retention.ms as altered", lambda: admin.config(topic, "retention.ms"), "7200000")
        admin.grow(topic, 4)
        faults += _becomes("partitions", lambda: admin.partitions(topic), 4)
        reference.write(ground, topic, sent)
        with closing(driver.reader(ground, topic, Reading(group=group))) as reader:
            got = read_all(reader, len(sent), ground.timeout_s)
            reader.commit()
        faults += _equal("records read", len(got), len(sent))
        faults += _group(admin, group)
        last = max((each.offset for each in got if each.partition == 0), default=0)
        faults += _deleted_records(admin, topic, last)
        admin.delete(topic)
        return faults + _becomes("partitions of the deleted topic", lambda: admin.partitions(topic), 0)


def _equal(what: str, found: object, wanted: object) -> list[str]:
    return [] if found == wanted else [f"{what}: {wanted} is right, {found} was found"]


def _becomes(what: str, ask: Callable[[], object], wanted: object) -> list[str]:
    """Any broker may be asked, as in Kafka; one that has yet to hear of the change is waited for."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return _equal(what, found, wanted)


def _group(admin: Admin, group: str) -> list[str]:
    faults = _equal("the group is listed", group in admin.groups(), True)
    state, members = admin.group(group)
    faults += _equal("the group's state and members", (state.upper(), members), ("EMPTY", 0))
    if "delete_group" in admin.lacks:
        return faults
    admin.delete_group(group)
    return faults + _equal("the deleted group is listed", group in admin.groups(), False)


def _deleted_records(admin: Admin, topic: str, last: int) -> list[str]:
    """Partition 0 without its records up to `last`; and refused beyond the end."""
    if "delete_records" in admin.lacks:
        return []
    faults = _equal("start after records were deleted", admin.delete_records(topic, 0, last), last)
    try:
        admin.delete_records(topic, 0, last + 100)
    except Exception as error:
        return faults + _equal("the refusal", "RANGE" in str(error).upper(), True)
    return [*faults, "records beyond the end were deleted"]
