"""Laws 3, 5, 9 and 11 as the metadata store keeps them; and each broken on purpose, which its test must notice."""

import asyncio
from typing import Any

import pytest

from broker.errors import KafkaError, NotController, NotCoordinator, StaleBrokerEpoch
from broker.metadata import NOBODY, Coordinator, Metadata, OffsetRow, commits, groups, members, picture, trims
from broker.metadata.database import Changes, Tx
from tests.broker.metadata.test_commits import extent, owned_by_0, upload, wal_of


async def test_a_reader_sees_whatever_its_version_stands_for(metadata: Metadata, open_metadata: Any) -> None:
    """Law 9: were the version to come first, a reader could take it and never look for the change again."""
    reader = await open_metadata()
    versions, written = [], asyncio.Event()

    async def read() -> None:
        last = False
        while not last:
            last = written.is_set()
            versions.append((await reader.refresh()).version)
            await asyncio.sleep(0.002)

    reading = asyncio.ensure_future(read())
    for number in range(8):
        await metadata.create_topic(f"t{number}", partitions=1)
    written.set()
    await reading
    assert set(reader.image.topics) == {f"t{number}" for number in range(8)}
    assert versions == sorted(versions)
    assert reader.image.version == metadata.image.version


async def test_a_gap_in_the_changes_makes_a_reader_load_everything(metadata: Metadata, open_metadata: Any) -> None:
    """Law 9."""
    reader = await open_metadata()
    await metadata.create_topic("a", partitions=1)
    lost = metadata.image.version
    await metadata.create_topic("b", partitions=1)
    await metadata.write(lambda tx: tx.run("DELETE FROM changes WHERE version = ?", lost))
    assert set((await reader.refresh()).topics) == {"a", "b"}


async def test_only_the_controller_of_the_newest_epoch_may_act(metadata: Metadata, open_metadata: Any) -> None:
    """Law 11."""
    zombie, other = (wal_of(metadata, broker)[1] for broker in (0, 1))
    old = await metadata.change(lambda tx: members.take_control(tx, 0, zombie, NOBODY))
    assert old is not None
    assert await metadata.change(lambda tx: members.take_control(tx, 2, wal_of(metadata, 2)[1], NOBODY)) is None
    new = await metadata.change(lambda tx: members.take_control(tx, 1, other, 0))
    assert new == old + 1
    for act in (
        lambda tx: members.declare_dead(tx, 0, old, 1, other, 0),
        lambda tx: members.settle_orphans(tx, 0, old),
        lambda tx: commits.condemn(tx, 0, old, 1 << 60, 1 << 60),
    ):
        with pytest.raises(NotController):
            await metadata.change(act)
    assert (await metadata.refresh()).brokers[1].alive


async def test_a_broker_whose_heart_beat_once_more_is_not_buried(metadata: Metadata, open_metadata: Any) -> None:
    """Law 11: silence is what the store says when the word is given, not what was seen before."""
    await owned_by_0(metadata, 1)
    slow = wal_of(metadata, 0)[1]
    control = await metadata.change(lambda tx: members.take_control(tx, 1, wal_of(metadata, 1)[1], NOBODY))
    assert control is not None
    seen = next(beat.counter for beat in metadata.beats if beat.id == 0)

    async def bury() -> None:
        await metadata.change(lambda tx: members.declare_dead(tx, 1, control, 0, slow, 1, silent_at=seen))

    await metadata.write(lambda tx: members.heartbeat(tx, 0, slow))
    await bury()
    assert metadata.image.brokers[0].alive
    seen += 1
    await bury()
    assert not metadata.image.brokers[0].alive


async def test_only_the_wal_of_an_open_range_commits_to_it(metadata: Metadata, open_metadata: Any) -> None:
    """Law 3."""
    (partition,) = await owned_by_0(metadata, 1)
    assert await upload(metadata, [extent(partition, 0, 5)], wal_of(metadata, 1)) == {partition.uid}
    assert await upload(metadata, [extent(partition, 0, 5)], wal_of(metadata, 0)) == set()


async def test_only_the_holder_of_a_recovery_finishes_it(metadata: Metadata, open_metadata: Any) -> None:
    """Law 5."""
    await owned_by_0(metadata, 1)
    dead = wal_of(metadata, 0)[1]
    control = await metadata.change(lambda tx: members.take_control(tx, 1, wal_of(metadata, 1)[1], NOBODY))
    assert control is not None
    first = await metadata.change(lambda tx: members.declare_dead(tx, 1, control, 0, dead, 1))
    assert first is not None
    await metadata.change(lambda tx: members.reassign_recovery(tx, 1, control, first, 2))
    with pytest.raises(StaleBrokerEpoch):
        await metadata.change(lambda tx: commits.finish_recovery(tx, first, None))


async def test_only_the_coordinator_of_the_newest_epoch_commits_offsets(metadata: Metadata, open_metadata: Any) -> None:
    (home,) = await owned_by_0(metadata, 1)
    before = Coordinator(uid=home.uid, owner=0, epoch=0)
    await metadata.reassign("t", 0, [1])
    await metadata.change(lambda tx: commits.hand_over(tx, {home.uid: (0, 0)}, wal_of(metadata, 0)))
    row = OffsetRow(offset=1, leader_epoch=0, metadata="", committed_at_ms=1)
    with pytest.raises(NotCoordinator):
        await metadata.commit_offsets("g", {(home.topic_id, 0): row}, before)


def forget_what_changed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Changes, "add", lambda self, kind, key: None)


def put_the_version_first(patch: pytest.MonkeyPatch) -> None:
    async def early(self: Metadata, work: Any) -> Any:
        await self.write(lambda tx: tx.changed("brokers"))
        await asyncio.sleep(0.05)

        def silent(tx: Tx) -> Any:
            result = work(tx)
            tx.changes = Changes()
            return result

        result = await self.write(silent)
        self._image, _ = await self.read(lambda tx: picture.load(tx, None))
        return result

    patch.setattr(Metadata, "change", early)


def patch_over_gaps(patch: pytest.MonkeyPatch) -> None:
    load = picture.load

    def hopeful(tx: Any, old: Any) -> Any:
        if old is None or old.version == 0:
            return load(tx, old)
        (version,) = tx.one("SELECT version FROM version")
        rows = tx.all("SELECT kind, key FROM changes WHERE version > ?", old.version)
        return picture._patched(tx, old, version, set(rows)), []

    patch.setattr(picture, "load", hopeful)


def accept_a_stale_controller(patch: pytest.MonkeyPatch) -> None:
    for room in (members, commits):
        patch.setattr(room, "check_controller", lambda tx, me, epoch: None)


def let_anybody_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commits, "_refused", lambda tx, extents, wal: set())


def let_a_lost_recovery_finish(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commits, "check_recovery", lambda tx, recovery: None)


def accept_a_stale_coordinator(patch: pytest.MonkeyPatch) -> None:
    commit = groups.commit_offsets

    def careless(tx: Any, commits: Any) -> Any:
        held = {uid: (o, e) for uid, o, e in tx.all("SELECT uid, owner, epoch FROM partitions")}
        newest = {uid: Coordinator(uid=uid, owner=owner, epoch=epoch) for uid, (owner, epoch) in held.items()}
        return commit(tx, [(group, offsets, newest[stale.uid]) for group, offsets, stale in commits])

    patch.setattr(groups, "commit_offsets", careless)


@pytest.mark.parametrize(
    ("breaks", "law"),
    [
        (forget_what_changed, test_a_reader_sees_whatever_its_version_stands_for),
        (put_the_version_first, test_a_reader_sees_whatever_its_version_stands_for),
        (patch_over_gaps, test_a_gap_in_the_changes_makes_a_reader_load_everything),
        (accept_a_stale_controller, test_only_the_controller_of_the_newest_epoch_may_act),
        (let_anybody_commit, test_only_the_wal_of_an_open_range_commits_to_it),
        (let_a_lost_recovery_finish, test_only_the_holder_of_a_recovery_finishes_it),
        (accept_a_stale_coordinator, test_only_the_coordinator_of_the_newest_epoch_commits_offsets),
    ],
)
async def test_breaking_a_law_is_noticed(
    breaks: Any, law: Any, metadata: Metadata, open_metadata: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    with pytest.raises((AssertionError, KafkaError, pytest.fail.Exception)):
        await law(metadata, open_metadata)


async def test_a_trim_point_is_forgotten_only_when_its_epoch_is_over(metadata: Metadata, open_metadata: Any) -> None:
    """Law 4: what the sweeper saw a moment ago decides nothing."""
    await owned_by_0(metadata, 1)
    alive, dead = wal_of(metadata, 0), wal_of(metadata, 1)
    over = (7, 1)
    control = await metadata.change(lambda tx: members.take_control(tx, 0, alive[1], NOBODY))
    assert control is not None
    unfinished = (1, dead[1])
    await metadata.write(lambda tx: tx.run("UPDATE epochs SET broker = 1, broker_epoch = ?", dead[1]))
    await metadata.change(lambda tx: members.declare_dead(tx, 0, control, *dead, 0))
    for broker, epoch in (alive, unfinished, over):
        await metadata.write(lambda tx, b=broker, e=epoch: trims.record_trim(tx, b, e, 5))
    await metadata.write(lambda tx: trims.forget(tx, [alive, unfinished, over]))
    assert set(await metadata.read(trims.recorded)) == {alive, unfinished}
