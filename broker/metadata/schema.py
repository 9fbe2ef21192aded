"""The tables, as a list of additive migrations: version N's broker and N-1's run on one store, so nothing is renamed.

partitions.log_end   committed end: below it everything is in objects
epochs               laws 3 and 10: the (epoch, start) history, and while `end_` is NULL the one range that may
                     still grow, with the WAL (broker, broker epoch) that alone may commit to it
objects.state        prepared -> committed -> marked -> dead -> gone (law 8); the row with the highest id always stays
recoveries           law 5: who replays which dead broker's WAL
wal_trims            for WALs without a lock: below it a broker epoch's slots are not needed any more
objects.level        0 as uploaded, 1.. as often as it was merged and is still shared, 100 of one partition alone
leases               duties of compaction: who works on what until when (law 4: it decides when, never whether)
rewrites             partitions whose ranges were replaced, numbered upwards, so that owners look again
cleaned              cleanup.policy=compact: below it no key has an older record
acls                 who may do what (security/); each row is a whole rule
quotas               how much who may use; entities and numbers as text
group_members        members of groups of the new protocol, a row each: one that joins writes its own, not everybody's
scram                what is kept of users' passwords; in no snapshot
secrets              what brokers prove to each other that they know; never shown to anybody else
transactions         one row per transactional id, conditional on its partition of `__transaction_state`
txn_partitions       what the transaction under way, or being ended, has written to
txn_offsets          offsets that become the group's in the same transaction that decides to commit
share_partitions     what a share group has done with a partition (KIP-932), start and records beyond it; conditional on
                     the partition's leadership, and on `state_epoch`, which an administrator's change raises
doomed               brokers whose cordon a spot notice brought, so that it ends with the machine
departed             brokers that said goodbye and owe nothing, with the epoch they had: the next registration voids it
"""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE version(version INTEGER NOT NULL);
    INSERT INTO version VALUES (0);
    CREATE TABLE changes(version INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL);
    CREATE INDEX changes_by_version ON changes(version);
    CREATE TABLE cluster(id TEXT NOT NULL, next_producer_id INTEGER NOT NULL, next_broker_epoch INTEGER NOT NULL);
    CREATE TABLE controller(broker INTEGER NOT NULL, broker_epoch INTEGER NOT NULL, epoch INTEGER NOT NULL);
    INSERT INTO controller VALUES (-1, -1, 0);
    CREATE TABLE brokers(
      id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, alive INTEGER NOT NULL, cordoned INTEGER NOT NULL,
      heartbeat INTEGER NOT NULL, listeners TEXT NOT NULL, http TEXT NOT NULL, zone TEXT, spot INTEGER NOT NULL,
      version TEXT NOT NULL, host_id TEXT NOT NULL, wal_url TEXT NOT NULL,
      started_at_ms INTEGER NOT NULL, registered_at_ms INTEGER NOT NULL);
    CREATE TABLE topics(id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, internal INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE partitions(
      uid INTEGER PRIMARY KEY, topic_id BLOB NOT NULL, idx INTEGER NOT NULL,
      owner INTEGER NOT NULL, epoch INTEGER NOT NULL, replicas TEXT NOT NULL, target TEXT,
      log_start INTEGER NOT NULL, log_end INTEGER NOT NULL, size_bytes INTEGER NOT NULL, producers BLOB NOT NULL);
    CREATE UNIQUE INDEX partitions_by_topic ON partitions(topic_id, idx);
    CREATE INDEX partitions_by_owner ON partitions(owner);
    CREATE TABLE epochs(
      uid INTEGER NOT NULL, epoch INTEGER NOT NULL, broker INTEGER NOT NULL, broker_epoch INTEGER NOT NULL,
      start INTEGER NOT NULL, end_ INTEGER, PRIMARY KEY(uid, epoch)) WITHOUT ROWID;
    CREATE INDEX open_epochs ON epochs(broker, broker_epoch) WHERE end_ IS NULL;
    CREATE TABLE objects(
      id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, broker INTEGER NOT NULL,
      size_bytes INTEGER NOT NULL, at_ms INTEGER NOT NULL);
    CREATE INDEX objects_by_state ON objects(state, at_ms);
    CREATE TABLE ranges(
      uid INTEGER NOT NULL, start INTEGER NOT NULL, end_ INTEGER NOT NULL, object INTEGER NOT NULL,
      size_bytes INTEGER NOT NULL, max_timestamp_ms INTEGER NOT NULL, PRIMARY KEY(uid, start)) WITHOUT ROWID;
    CREATE INDEX ranges_by_object ON ranges(object);
    CREATE TABLE configs(
      kind TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
      PRIMARY KEY(kind, name, key)) WITHOUT ROWID;
    CREATE TABLE recoveries(
      broker INTEGER PRIMARY KEY, broker_epoch INTEGER NOT NULL, recoverer INTEGER NOT NULL, epoch INTEGER NOT NULL);
    CREATE TABLE groups(
      group_id TEXT PRIMARY KEY, coordinator_uid INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX groups_by_coordinator ON groups(coordinator_uid);
    CREATE TABLE offsets(
      group_id TEXT NOT NULL, topic_id BLOB NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
      leader_epoch INTEGER NOT NULL, metadata TEXT NOT NULL, committed_at_ms INTEGER NOT NULL,
      PRIMARY KEY(group_id, topic_id, partition)) WITHOUT ROWID;
    CREATE INDEX offsets_by_topic ON offsets(topic_id);
    """,
    """
    CREATE TABLE departed(broker INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
    """,
    """
    CREATE TABLE wal_trims(
      broker INTEGER NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY(broker, epoch))
      WITHOUT ROWID;
    """,
    """
    ALTER TABLE objects ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX objects_by_level ON objects(level, broker);
    CREATE TABLE leases(
      name TEXT PRIMARY KEY, holder INTEGER NOT NULL, holder_epoch INTEGER NOT NULL, epoch INTEGER NOT NULL,
      expires_at_ms INTEGER NOT NULL);
    CREATE TABLE rewrites(uid INTEGER PRIMARY KEY, number INTEGER NOT NULL);
    CREATE INDEX rewrites_by_number ON rewrites(number);
    CREATE TABLE rewrite_count(number INTEGER NOT NULL);
    INSERT INTO rewrite_count VALUES (0);
    CREATE TABLE cleaned(uid INTEGER PRIMARY KEY, up_to INTEGER NOT NULL, at_ms INTEGER NOT NULL);
    """,
    """
    CREATE TABLE secrets(name TEXT PRIMARY KEY, value BLOB NOT NULL);
    """,
    """
    CREATE TABLE acls(
      resource_type INTEGER NOT NULL, name TEXT NOT NULL, pattern INTEGER NOT NULL, principal TEXT NOT NULL,
      host TEXT NOT NULL, operation INTEGER NOT NULL, permission INTEGER NOT NULL,
      PRIMARY KEY(resource_type, name, pattern, principal, host, operation, permission)) WITHOUT ROWID;
    """,
    """
    CREATE TABLE transactions(
      transactional_id TEXT PRIMARY KEY, coordinator_uid INTEGER NOT NULL, state TEXT NOT NULL,
      producer_id INTEGER NOT NULL, epoch INTEGER NOT NULL,
      previous_id INTEGER NOT NULL, previous_epoch INTEGER NOT NULL,
      marker_id INTEGER NOT NULL, marker_epoch INTEGER NOT NULL,
      timeout_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX transactions_by_coordinator ON transactions(coordinator_uid, state);
    CREATE TABLE txn_partitions(
      transactional_id TEXT NOT NULL, topic_id BLOB NOT NULL, partition INTEGER NOT NULL,
      PRIMARY KEY(transactional_id, topic_id, partition)) WITHOUT ROWID;
    CREATE INDEX txn_partitions_by_topic ON txn_partitions(topic_id);
    CREATE TABLE txn_offsets(
      transactional_id TEXT NOT NULL, group_id TEXT NOT NULL, topic_id BLOB NOT NULL, partition INTEGER NOT NULL,
      "offset" INTEGER NOT NULL, leader_epoch INTEGER NOT NULL, metadata TEXT NOT NULL,
      committed_at_ms INTEGER NOT NULL, PRIMARY KEY(transactional_id, group_id, topic_id, partition)) WITHOUT ROWID;
    CREATE INDEX txn_offsets_by_group ON txn_offsets(group_id);
    CREATE INDEX txn_offsets_by_topic ON txn_offsets(topic_id);
    """,
    """
    CREATE TABLE scram(
      name TEXT NOT NULL, mechanism INTEGER NOT NULL, salt BLOB NOT NULL, iterations INTEGER NOT NULL,
      stored_key BLOB NOT NULL, server_key BLOB NOT NULL, PRIMARY KEY(name, mechanism)) WITHOUT ROWID;
    """,
    """
    CREATE TABLE quotas(entity TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(entity, key));
    """,
    """
    CREATE TABLE group_members(
      group_id TEXT NOT NULL, member_id TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY(group_id, member_id))
      WITHOUT ROWID;
    """,
    """
    CREATE TABLE share_partitions(
      group_id TEXT NOT NULL, topic_id BLOB NOT NULL, partition INTEGER NOT NULL, start INTEGER NOT NULL,
      state_epoch INTEGER NOT NULL, leader_epoch INTEGER NOT NULL, states TEXT NOT NULL,
      PRIMARY KEY(group_id, topic_id, partition)) WITHOUT ROWID;
    CREATE INDEX share_partitions_by_topic ON share_partitions(topic_id);
    """,
    """
    CREATE TABLE doomed(broker INTEGER PRIMARY KEY);
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the file to the newest schema; a file newer than this broker is left as it is (migrations only add)."""
    (at,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(MIGRATIONS[at:], start=at + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")


def birth(cluster_id: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Statements that give a new store its cluster's row, and change nothing in one that has it. Producer ids start at
    1000 so that a reader sees they are not offsets.
    """
    return (
        (
            "INSERT INTO cluster(id, next_producer_id, next_broker_epoch)"
            " SELECT ?, 1000, 0 WHERE NOT EXISTS (SELECT 1 FROM cluster)",
            (cluster_id,),
        ),
        ("UPDATE version SET version = 1 WHERE version = 0", ()),
    )
