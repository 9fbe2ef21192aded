"""Each law of the broker, broken on purpose, and the test that must notice.

A break is a patch of the running product, made before the tests are collected (`plugin.py`). The laws are numbered in
docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.errors import NotEnoughReplicas
from broker.records.batch import batches

LOG = "tests/broker/log/test_log.py"
OWNERSHIP = "tests/broker/log/test_ownership.py"
HOUSEKEEPING = "tests/broker/log/test_housekeeping.py"
DISK = "tests/broker/wal/test_disk.py"
RING = "tests/broker/wal/test_ring.py"
LIVENESS = "tests/broker/log/test_liveness.py"
DATABASE = "tests/broker/metadata/test_database.py"
SMALL = "tests/broker/log/test_small_laws.py"
STORE = "tests/broker/objects/test_store.py"


@dataclass(frozen=True, kw_only=True)
class Break:
    """One way to break a law."""

    law: int
    how: Callable[[], None]
    caught_by: str
    """A test, as pytest names it."""

    @property
    def name(self) -> str:
        return self.how.__name__


def acknowledge_before_the_sync() -> None:
    from broker.wal.disk import DiskWal

    append = DiskWal.append

    def early(self: DiskWal, entry: Any, durable: Callable[[], None]) -> None:
        append(self, entry, lambda: None)
        self._loop.call_soon(durable)

    DiskWal.append = early  # type: ignore[method-assign]


def leave_the_objects_name_unsynced() -> None:
    from broker.objects import local

    local._sync_directory = lambda directory: None


def believe_every_checksum() -> None:
    from broker.log import log
    from broker.records import batch

    log.check_produced = lambda records: list(batch.batches(records))  # type: ignore[attr-defined]


def let_anybody_commit() -> None:
    from broker.metadata import commits

    commits._refused = lambda tx, extents, wal: set()


def take_a_wal_without_its_lock() -> None:
    from broker.wal import holder

    holder.fcntl = type("Unlocked", (), {"LOCK_EX": 0, "LOCK_NB": 0, "flock": staticmethod(lambda fd, how: None)})


def let_a_lost_recovery_commit() -> None:
    from broker.metadata import commits, members

    members.check_recovery = commits.check_recovery = lambda tx, recovery: None  # type: ignore[attr-defined]


def raise_the_high_watermark_early() -> None:
    from broker.log.log import Log

    store = Log._store

    def early(self: Log, *arguments: Any) -> int:
        self.high_watermark = store(self, *arguments)
        return self.high_watermark

    Log._store = early  # type: ignore[method-assign]


def go_on_after_a_failed_sync() -> None:
    from broker.wal.ring import Ring

    put = Ring._put

    def careless(self: Ring, *arguments: Any) -> None:
        with contextlib.suppress(OSError):
            put(self, *arguments)

    Ring._put = careless  # type: ignore[method-assign]


def take_corruption_for_a_torn_tail() -> None:
    from broker.wal.ring import Ring

    Ring._refuse_if_whole = lambda self, *arguments: None  # type: ignore[method-assign]


def sweep_before_the_row_is_dead() -> None:
    from broker.metadata import commits

    def still_prepared(tx: Any, *arguments: Any) -> list[int]:
        return [row[0] for row in tx.all("SELECT id FROM objects WHERE state = 'prepared'")]

    commits.condemn = still_prepared


def sweep_with_an_older_copy() -> None:
    from broker.log.housekeeping import Housekeeping

    async def always(self: Housekeeping) -> bool:
        return True

    Housekeeping._metadata_is_newest = always  # type: ignore[method-assign]


def forget_what_changed() -> None:
    from broker.metadata.database import Changes

    Changes.add = lambda self, kind, key: None  # type: ignore[method-assign]


def name_a_topic_by_its_name() -> None:
    from uuid import NAMESPACE_OID, uuid5

    from broker.metadata import topics

    create = topics.create_topic

    def named(tx: Any, entropy: Any, name: str, *others: Any) -> Any:
        topics.new_uuid = lambda entropy: uuid5(NAMESPACE_OID, name)  # type: ignore[attr-defined]
        return create(tx, entropy, name, *others)

    topics.create_topic = named


def trust_a_stalled_observer() -> None:
    from broker.log import liveness

    liveness.STALL_S = 1e9


def bury_everybody_at_once() -> None:
    from broker.log import liveness

    liveness.SHARE = 1.0


def remember_a_sequence_before_refusing() -> None:
    from broker.log.log import Log

    append = Log.append

    def eager(self: Log, records: Any, **named: Any) -> Any:
        try:
            return append(self, records, **named)
        except NotEnoughReplicas:
            for batch in batches(records):
                self.producers.record(batch, self.log_end)
            raise

    Log.append = eager  # type: ignore[method-assign]


def block_the_loop() -> None:
    from broker.log.log import Log

    append = Log.append

    def slow(self: Log, *arguments: Any, **named: Any) -> asyncio.Future[Any]:
        if self.log_end % 20 == 0:
            for _ in range(4_000_000):
                pass
        return append(self, *arguments, **named)

    Log.append = slow  # type: ignore[method-assign]


def count_messages_by_partition() -> None:
    from broker.telemetry.exposition import Page

    family = Page.family

    def partitioned(self: Page, name: str) -> None:
        family(self, name)
        if name == "kafka_topic_count":
            self.sample(name, (("topic", "t"), ("partition", "0")), 1)

    Page.family = partitioned  # type: ignore[method-assign]


def let_the_tail_wait_in_line() -> None:
    from broker.objects.budget import Bandwidth, Priority

    take = Bandwidth.take

    async def in_line(self: Bandwidth, priority: Priority, size: int) -> None:
        await take(self, max(priority, Priority.CATCH_UP), size)

    Bandwidth.take = in_line  # type: ignore[method-assign]


BREAKS = (
    Break(law=1, how=acknowledge_before_the_sync, caught_by=f"{LOG}::test_is_answered_and_visible_only_after_the_sync"),
    Break(
        law=1,
        how=leave_the_objects_name_unsynced,
        caught_by=f"{STORE}::test_syncs_the_file_before_its_name_and_the_directory_after",
    ),
    Break(law=2, how=believe_every_checksum, caught_by=f"{LOG}::test_refuses_bytes_whose_checksum_lies"),
    Break(
        law=3,
        how=let_anybody_commit,
        caught_by=f"{OWNERSHIP}::test_a_commit_against_a_closed_range_is_refused_and_the_others_in_it_pass",
    ),
    Break(
        law=4,
        how=take_a_wal_without_its_lock,
        caught_by=f"{DISK}::test_a_second_process_is_refused_and_told_who_holds_it",
    ),
    Break(
        law=5,
        how=let_a_lost_recovery_commit,
        caught_by=f"{OWNERSHIP}::test_a_recovery_that_was_taken_over_commits_nothing",
    ),
    Break(
        law=6,
        how=raise_the_high_watermark_early,
        caught_by=f"{LOG}::test_is_answered_and_visible_only_after_the_sync",
    ),
    Break(law=7, how=go_on_after_a_failed_sync, caught_by=f"{DISK}::test_a_failed_sync_is_final"),
    Break(
        law=7,
        how=take_corruption_for_a_torn_tail,
        caught_by=f"{RING}::test_refuses_a_bad_block_with_a_whole_one_behind_it",
    ),
    Break(
        law=8,
        how=sweep_before_the_row_is_dead,
        caught_by=f"{HOUSEKEEPING}::test_an_upload_that_was_given_up_cannot_be_committed_after_the_sweep",
    ),
    Break(
        law=8,
        how=sweep_with_an_older_copy,
        caught_by=f"{HOUSEKEEPING}::test_nothing_is_swept_when_the_bucket_is_ahead_of_the_metadata",
    ),
    Break(
        law=9,
        how=forget_what_changed,
        caught_by=f"{DATABASE}::test_others_see_a_change_after_a_refresh_and_only_load_what_changed[sqlite]",
    ),
    Break(law=10, how=name_a_topic_by_its_name, caught_by=f"{SMALL}::test_a_topic_made_again_is_another_one"),
    Break(law=11, how=trust_a_stalled_observer, caught_by=f"{LIVENESS}::test_an_observer_that_stalled_starts_again"),
    Break(
        law=11,
        how=bury_everybody_at_once,
        caught_by=f"{LIVENESS}::test_at_most_one_is_judged_per_session_when_many_fall_silent",
    ),
    Break(
        law=12,
        how=remember_a_sequence_before_refusing,
        caught_by=f"{LOG}::test_refuses_before_a_sequence_is_recorded_when_the_wal_is_full",
    ),
    Break(
        law=13,
        how=let_the_tail_wait_in_line,
        caught_by="tests/broker/objects/test_budget.py::test_the_tail_never_waits_and_the_others_wait_for_what_it_took",
    ),
    Break(law=14, how=block_the_loop, caught_by=f"{SMALL}::test_appends_uploads_and_reads_keep_the_loop_free"),
    Break(
        law=15,
        how=count_messages_by_partition,
        caught_by=f"{SMALL}::test_only_bytes_offsets_and_size_carry_a_partition",
    ),
)
