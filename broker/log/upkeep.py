"""Puts together what keeps a broker's part of the store tidy: retention and sweeping, compaction, cleaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broker.clock import Clock
from broker.ids import Entropy
from broker.log.cleaning import Cleaning
from broker.log.compaction import Compactor
from broker.log.config import LogsConfig, StorageStats
from broker.log.housekeeping import Housekeeping
from broker.log.log import Log
from broker.log.membership import Membership
from broker.log.rewriting import Rewriter
from broker.log.settings import WallWatch
from broker.metadata import commits
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore, Priority
from broker.wal.kinds import Say, Wals


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """Two lives of their own: compaction may take minutes, retention does not wait for it."""

    housekeeping: Housekeeping
    compactor: Compactor
    cleaning: Cleaning


def make_upkeep(
    *,
    logs: Iterable[Log],
    metadata: Metadata,
    store: ObjectStore,
    clock: Clock,
    entropy: Entropy,
    config: LogsConfig,
    owner: commits.Wal,
    membership: Membership,
    wals: Wals,
    stats: StorageStats,
    say: Say,
) -> Upkeep:
    """Compaction and cleaning get a handle of the store that stands behind the tail and the readers (law 13)."""
    watch = WallWatch(clock, say)
    rewriter = Rewriter(
        metadata=metadata, store=store.at(Priority.COMPACTION), clock=clock, broker_id=owner[0], stats=stats, say=say
    )
    cleaning = Cleaning(
        logs=logs,
        metadata=metadata,
        rewriter=rewriter,
        clock=clock,
        config=config,
        broker_id=owner[0],
        trusted=watch.trusted,
        stats=stats,
        say=say,
    )
    housekeeping = Housekeeping(
        logs=logs,
        metadata=metadata,
        store=store,
        clock=clock,
        config=config,
        owner=owner,
        membership=membership,
        wals=wals,
        watch=watch,
        stats=stats,
        say=say,
    )
    compactor = Compactor(
        logs=logs,
        metadata=metadata,
        rewriter=rewriter,
        cleaning=cleaning,
        clock=clock,
        entropy=entropy,
        config=config,
        owner=owner,
        say=say,
    )
    return Upkeep(housekeeping=housekeeping, compactor=compactor, cleaning=cleaning)
