"""Who is in the cluster: registration, heartbeats, the controller's row, and recoveries (laws 5 and 11)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from broker.errors import DuplicateResource, NotController, StaleBrokerEpoch
from broker.metadata import doomed
from broker.metadata.database import Tx
from broker.metadata.hosts import refuse_second_host
from broker.metadata.image import NOBODY, Recovery
from broker.metadata.picture import BROKERS, DUTIES, TOPIC
from broker.metadata.rows import OpenRange, Registration
from broker.metadata.trims import lives


def register(tx: Tx, me: Registration, now_ms: int) -> tuple[int, Recovery | None]:
    """A new broker epoch, and the recovery of this broker's own older epochs when they left ranges open.

    The caller holds its WAL's lock, so a recoverer that was at work on that WAL is not; it loses the duty here.
    """
    _refuse_twin(tx, me)
    refuse_second_host(tx, me)
    (epoch,) = tx.one("UPDATE cluster SET next_broker_epoch = next_broker_epoch + 1 RETURNING next_broker_epoch")
    tx.run(
        f"INSERT INTO brokers(id, cordoned, {', '.join(_TOLD)}) VALUES (?, 0, ?, 1, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _TOLD)}",
        *(me.id, epoch, json.dumps({k: list(v) for k, v in me.listeners.items()}), me.http, me.zone, int(me.spot)),
        *(me.version, me.host_id, me.wal_url, now_ms, now_ms),
    )
    doomed.stay(tx, me.id)
    tx.changed(BROKERS)
    if not tx.one("SELECT 1 FROM epochs WHERE broker = ? AND broker_epoch < ? AND end_ IS NULL", me.id, epoch):
        tx.run("DELETE FROM recoveries WHERE broker = ?", me.id)
        adopt(tx, me.id, epoch)
        return epoch, None
    return epoch, _assign(tx, me.id, epoch - 1, me.id)


_TOLD = (
    *("epoch", "alive", "heartbeat", "listeners", "http", "zone", "spot", "version", "host_id", "wal_url"),
    *("started_at_ms", "registered_at_ms"),
)
"""What a registration sets; a cordon stays as it was, unless a spot notice brought it."""


def _refuse_twin(tx: Tx, me: Registration) -> None:
    """Refuses an id whose WAL is elsewhere and still in use, or not replayed yet."""
    row = tx.one("SELECT alive, wal_url, http FROM brokers WHERE id = ?", me.id)
    if row is None or row[1] == me.wal_url:
        return
    if row[0]:
        raise DuplicateResource(f"broker {me.id} is alive at {row[2]} with WAL {row[1]}: give this one another --id")
    if tx.one("SELECT 1 FROM epochs WHERE broker = ? AND end_ IS NULL", me.id):
        raise DuplicateResource(
            f"broker {me.id} left records in WAL {row[1]}: start it there, or wait for its recovery"
        )


def _assign(tx: Tx, broker: int, broker_epoch: int, recoverer: int) -> Recovery:
    """Gives the recovery of `broker`'s epochs up to `broker_epoch` to `recoverer`; whoever had it before has it no
    more.
    """
    row = tx.one("SELECT epoch FROM recoveries WHERE broker = ?", broker)
    number = row[0] + 1 if row else 1
    tx.run(
        "INSERT INTO recoveries(broker, broker_epoch, recoverer, epoch) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (broker) DO UPDATE SET"
        " broker_epoch = excluded.broker_epoch, recoverer = excluded.recoverer, epoch = excluded.epoch",
        *(broker, broker_epoch, recoverer, number),
    )
    tx.changed(DUTIES)
    return Recovery(broker=broker, broker_epoch=broker_epoch, recoverer=recoverer, epoch=number)


def adopt(tx: Tx, broker: int, broker_epoch: int) -> None:
    """Takes what nobody owns and whose preferred owner is this broker (or that never had a replica at all)."""
    rows = tx.all("SELECT uid, replicas FROM partitions WHERE owner = ?", NOBODY)
    wanted = {uid: json.loads(replicas) for uid, replicas in rows}
    give(
        tx,
        [
            Gift(uid=uid, owner=broker, owner_epoch=broker_epoch, replicas=ids or [broker])
            for uid, ids in wanted.items()
            if not ids or ids[0] == broker
        ],
    )


@dataclass(frozen=True, kw_only=True)
class Gift:
    """A partition's next leader."""

    uid: int
    owner: int
    owner_epoch: int
    replicas: Sequence[int] | None = None
    """None leaves them as they are."""


def give(tx: Tx, gifts: Sequence[Gift]) -> None:
    """Makes each owner the leader under the next epoch and opens its range at the committed end."""
    rows = tx.among(
        "SELECT uid, epoch, log_end, topic_id, replicas FROM partitions WHERE uid IN ({keys})", [g.uid for g in gifts]
    )
    known = {uid: (epoch, end, topic, had) for uid, epoch, end, topic, had in rows}
    led, opened = [], []
    for gift in gifts:
        epoch, end, topic, had = known[gift.uid]
        wanted = had if gift.replicas is None else json.dumps(list(gift.replicas))
        led.append((gift.owner, epoch + 1, wanted, gift.uid))
        if gift.owner != NOBODY:
            opened.append((gift.uid, epoch + 1, gift.owner, gift.owner_epoch, end))
        tx.changed(TOPIC, topic.hex())
    tx.many("UPDATE partitions SET owner = ?, epoch = ?, replicas = ? WHERE uid = ?", led)
    tx.many("INSERT INTO epochs(uid, epoch, broker, broker_epoch, start) VALUES (?, ?, ?, ?, ?)", opened)


def heartbeat(tx: Tx, broker: int, epoch: int) -> None:
    """Counts one up; StaleBrokerEpoch tells a broker that was declared dead, or whose id started again elsewhere."""
    beat = "UPDATE brokers SET heartbeat = heartbeat + 1 WHERE id = ? AND epoch = ? AND alive = 1"
    if tx.run(beat, broker, epoch) == 0:
        raise StaleBrokerEpoch(f"broker {broker} with epoch {epoch} was declared dead, or its id runs elsewhere")


def deregister(tx: Tx, broker: int, epoch: int) -> None:
    """A clean goodbye; the broker has handed over or closed everything."""
    tx.run("UPDATE brokers SET alive = 0 WHERE id = ? AND epoch = ?", broker, epoch)
    tx.run("UPDATE controller SET broker = -1, broker_epoch = -1, epoch = epoch + 1 WHERE broker = ?", broker)
    tx.changed(BROKERS)
    tx.changed(DUTIES)


def sign_off(tx: Tx, broker: int, epoch: int) -> None:
    """Marks that nothing is expected of a broker that deregistered, unless it left a range open in its WAL."""
    if not tx.one("SELECT 1 FROM epochs WHERE broker = ? AND end_ IS NULL", broker):
        tx.run(
            "INSERT INTO departed(broker, epoch) VALUES (?, ?)"
            " ON CONFLICT (broker) DO UPDATE SET epoch = excluded.epoch",
            *(broker, epoch),
        )


def take_control(tx: Tx, me: int, my_epoch: int, from_broker: int) -> int | None:
    """Makes this broker the controller if `from_broker` still is; the new controller epoch, or None when it came
    late.
    """
    row = tx.one("SELECT broker, epoch FROM controller")
    if row[0] != from_broker or not lives(tx, me, my_epoch):
        return None
    tx.run("UPDATE controller SET broker = ?, broker_epoch = ?, epoch = ?", me, my_epoch, row[1] + 1)
    tx.changed(DUTIES)
    return int(row[1]) + 1


def controller_epoch(tx: Tx) -> int:
    """How often control has changed hands."""
    return int(tx.one("SELECT epoch FROM controller")[0])


def check_controller(tx: Tx, me: int, controller_epoch: int) -> None:
    """NotController unless the caller still is it, under the same epoch (law 11)."""
    if tx.one("SELECT 1 FROM controller WHERE broker = ? AND epoch = ?", me, controller_epoch) is None:
        raise NotController(f"broker {me} is not the controller of epoch {controller_epoch} any more")


def declare_dead(
    tx: Tx, me: int, controller_epoch: int, dead: int, dead_epoch: int, recoverer: int, silent_at: int | None = None
) -> Recovery | None:
    """The controller's word that a broker epoch is over, and who replays its WAL; None when nothing is left to replay,
    and when the broker lives: its heartbeat is not at `silent_at` any more, where it was seen to stand still.
    """
    check_controller(tx, me, controller_epoch)
    if not lives(tx, dead, dead_epoch):
        return None
    if silent_at is not None and tx.one("SELECT heartbeat FROM brokers WHERE id = ?", dead) != (silent_at,):
        return None
    tx.run("UPDATE brokers SET alive = 0 WHERE id = ?", dead)
    tx.changed(BROKERS)
    if not tx.one("SELECT 1 FROM epochs WHERE broker = ? AND end_ IS NULL", dead):
        if doomed.is_doomed(tx, dead):
            sign_off(tx, dead, dead_epoch)  # its machine was taken away as announced, and it had given everything away
        return None
    return _assign(tx, dead, dead_epoch, recoverer)


def reassign_recovery(tx: Tx, me: int, controller_epoch: int, lost: Recovery, recoverer: int) -> Recovery | None:
    """Gives an unfinished recovery to another broker, because its recoverer died too."""
    check_controller(tx, me, controller_epoch)
    if tx.one("SELECT 1 FROM recoveries WHERE broker = ? AND epoch = ?", lost.broker, lost.epoch) is None:
        return None
    return _assign(tx, lost.broker, lost.broker_epoch, recoverer)


def check_recovery(tx: Tx, recovery: Recovery) -> None:
    """StaleBrokerEpoch unless the duty is still held as it was given (law 5)."""
    held = tx.one(
        "SELECT 1 FROM recoveries WHERE broker = ? AND recoverer = ? AND epoch = ?",
        *(recovery.broker, recovery.recoverer, recovery.epoch),
    )
    if held is None:
        raise StaleBrokerEpoch(f"the recovery of broker {recovery.broker} now belongs to somebody else")


def open_ranges(tx: Tx, recovery: Recovery) -> list[OpenRange]:
    """What the dead broker left open, in any of its epochs up to the one being recovered."""
    check_recovery(tx, recovery)
    rows = tx.all(
        "SELECT e.uid, e.epoch, p.log_end, p.producers FROM epochs e JOIN partitions p ON p.uid = e.uid"
        " WHERE e.broker = ? AND e.broker_epoch <= ? AND e.end_ IS NULL",
        *(recovery.broker, recovery.broker_epoch),
    )
    return [OpenRange(uid=u, epoch=e, end=end, producers=blob) for u, e, end, blob in rows]


def successors(tx: Tx, leaving: Collection[int]) -> list[tuple[int, int]]:
    """Live brokers other than those leaving, as (id, epoch), the one that owns least first. Cordoned ones only when
    there is no other: a cordon must not leave a partition without an owner.
    """
    rows = tx.all(
        "SELECT b.id, b.epoch, b.cordoned, (SELECT count(*) FROM partitions p WHERE p.owner = b.id) AS owned"
        " FROM brokers b WHERE b.alive = 1 ORDER BY owned, b.id"
    )
    staying = [row for row in rows if row[0] not in leaving]
    return [(row[0], row[1]) for row in [row for row in staying if not row[2]] or staying]


def settle_orphans(tx: Tx, me: int, controller_epoch: int) -> int:
    """Finds owners for partitions that nobody owns and whose preferred owner did not come back; how many it found."""
    check_controller(tx, me, controller_epoch)
    uids = [row[0] for row in tx.all("SELECT uid FROM partitions WHERE owner = ?", NOBODY)]
    live = successors(tx, ())
    return hand_out(tx, uids, live)


def hand_out(tx: Tx, uids: list[int], live: list[tuple[int, int]]) -> int:
    """Gives each partition to its first live replica, else to the live brokers in turn; how many found an owner."""
    epochs = dict(live)
    replicas = dict(tx.among("SELECT uid, replicas FROM partitions WHERE uid IN ({keys})", uids))
    gifts = []
    for turn, uid in enumerate(uids):
        owner = next((i for i in json.loads(replicas[uid]) if i in epochs), NOBODY)
        if owner == NOBODY and live:
            owner = live[turn % len(live)][0]
        gifts.append(Gift(uid=uid, owner=owner, owner_epoch=epochs.get(owner, -1)))
    give(tx, gifts)
    return len(uids) if live else 0
