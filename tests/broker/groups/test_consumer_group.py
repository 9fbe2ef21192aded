"""The new protocol's state machine, wound by hand."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from random import Random
from types import MappingProxyType
from uuid import UUID

import pytest

from broker.errors import (
    FencedInstanceId,
    FencedMemberEpoch,
    GroupMaxSizeReached,
    InvalidRegularExpression,
    StaleMemberEpoch,
    UnknownMemberId,
    UnreleasedInstanceId,
)
from broker.groups import kinds
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.consumer_shapes import BeatAnswer, ConsumerGroupState, ConsumerGroupView, Heartbeat
from broker.groups.patterns import compiled, matching
from broker.groups.settings import GroupSettings
from broker.metadata.image import EMPTY, Image, Partition, Topic
from broker.metadata.rows import GroupRow

LIMITS = GroupSettings(max_size=3)
T, U = UUID(int=1), UUID(int=2)
ALL = frozenset((T, index) for index in range(4))


def cluster(version: int = 1, **sizes: int) -> Image:
    """Topics with that many partitions each."""
    topics = {}
    for number, (name, size) in enumerate(sizes.items(), 1):
        parts = tuple(
            Partition(
                uid=i,
                topic_id=UUID(int=number),
                topic=name,
                index=i,
                owner=0,
                epoch=0,
                replicas=(0,),
                isr=(0,),
                target=None,
            )
            for i in range(size)
        )
        topics[name] = Topic(
            id=UUID(int=number), name=name, partitions=parts, configs={}, internal=name.startswith("__")
        )
    return replace(EMPTY, version=version, topics=MappingProxyType(topics))


class Rows:
    """A group as the metadata store keeps it: what each step wrote, one over the other."""

    def __init__(self) -> None:
        self.row = GroupRow(group_id="orders", coordinator_uid=0, state="")
        self.written = 0

    def save(self, group: ConsumerGroup) -> None:
        self.written = 0
        if not group.take().store:
            return
        step = kinds.dump(group, 0, None)
        kept = {} if step.is_whole else dict(self.row.members)
        kept.update(step.members)
        self.written = len(step.members)
        self.row = replace(step, members={name: state for name, state in kept.items() if state is not None})

    def read(self, now: float) -> ConsumerGroup:
        group, _ = kinds.load(self.row, LIMITS, now)
        assert isinstance(group, ConsumerGroup)
        return group


def seen(group: ConsumerGroup) -> ConsumerGroupView:
    """As it is described, whatever the order of its members."""
    view = group.describe()
    return replace(view, members=tuple(sorted(view.members, key=lambda member: member.member_id)))


class Play:
    """A group, a clock and a cluster; members speak through `beat`."""

    def __init__(self) -> None:
        self.group = ConsumerGroup("orders")
        self.now = 100.0
        self.cluster = cluster(t=4)
        self.epochs: dict[str, int] = {}
        self.owned: dict[str, frozenset[tuple[UUID, int]]] = {}
        self.limits = LIMITS
        self.rows = Rows()

    def beat(self, name: str, **changes: object) -> BeatAnswer:
        """What the member says next, and does with the answer."""
        joins = self.epochs.get(name, 0) == 0
        said = Heartbeat(
            group_id="orders",
            member_id=name,
            epoch=self.epochs.get(name, 0),
            instance_id=None,
            rack=None,
            client_id="app",
            client_host="/127.0.0.1",
            rebalance_timeout_s=60.0 if joins else None,
            names=frozenset({"t"}) if joins else None,
            regex=None,
            assignor=None,
            owned=frozenset() if joins else self.owned[name],
            may_see=lambda topic: True,
        )
        answer = self.group.heartbeat(replace(said, **changes), self.cluster, self.now, self.limits)  # type: ignore[arg-type]
        self.epochs[name] = answer.epoch
        if answer.assignment is not None:
            self.owned[name] = answer.assignment
        self.rows.save(self.group)
        if len(self.group.members) < 10:
            assert seen(self.rows.read(self.now)) == seen(self.group)
        return answer

    def settle(self, *names: str) -> None:
        """Everyone speaks until nothing changes."""
        for _ in range(6):
            for name in names:
                self.beat(name)


@pytest.fixture
def play() -> Play:
    return Play()


def test_the_first_member_gets_everything_at_once(play: Play) -> None:
    answer = play.beat("a")
    assert (answer.epoch, answer.assignment, play.group.state) == (1, ALL, ConsumerGroupState.STABLE)
    assert play.beat("a").assignment is None


def test_a_share_is_given_up_before_anybody_else_gets_it(play: Play) -> None:
    play.beat("a")
    newcomer = play.beat("b")
    assert (newcomer.epoch, newcomer.assignment) == (2, frozenset())
    assert play.group.state is ConsumerGroupState.RECONCILING
    still = play.beat("a", owned=ALL)
    assert still.epoch == 1 and still.assignment is not None and len(still.assignment) == 2
    assert play.beat("b").assignment is None
    assert play.beat("a", owned=ALL).epoch == 1
    assert play.beat("a").epoch == 2
    taken = play.beat("b")
    assert taken.assignment is not None and taken.assignment | play.owned["a"] == ALL
    assert play.group.state is ConsumerGroupState.STABLE


def test_who_does_not_give_up_in_time_is_out(play: Play) -> None:
    play.beat("a")
    play.beat("b")
    play.beat("a", owned=ALL)
    play.now += 61
    play.group.members["a"].deadline = play.group.members["b"].deadline = play.now + 30
    assert play.group.due() is not None
    play.group.tick(play.now)
    assert set(play.group.members) == {"b"}
    assert play.beat("b").assignment == ALL
    with pytest.raises(UnknownMemberId):
        play.beat("a")


def test_the_silent_are_out_and_time_we_slept_does_not_count(play: Play) -> None:
    play.beat("a")
    play.now += 100
    play.group.postpone(100)
    play.group.tick(play.now)
    assert set(play.group.members) == {"a"}
    play.now += LIMITS.consumer_session_s
    play.group.tick(play.now)
    assert (play.group.members, play.group.state) == ({}, ConsumerGroupState.EMPTY)


def test_a_wrong_epoch_is_fenced_and_a_lost_answer_forgiven(play: Play) -> None:
    play.beat("a")
    play.beat("b")
    play.settle("a", "b")
    for wrong in (1, 9):
        with pytest.raises(FencedMemberEpoch):
            play.beat("a", epoch=wrong, owned=ALL)
    lost = play.beat("a", epoch=1, owned=play.owned["a"])
    assert lost.epoch == 2
    assert play.beat("a", epoch=0, owned=frozenset()).assignment == play.owned["a"]


def test_a_static_member_comes_back_to_its_share(play: Play) -> None:
    play.beat("a", instance_id="i1")
    play.beat("b", instance_id="i2")
    for _ in range(4):
        play.beat("a", instance_id="i1")
        play.beat("b", instance_id="i2")
    had, epoch = play.owned["a"], play.group.epoch
    with pytest.raises(UnreleasedInstanceId):
        play.beat("a2", instance_id="i1")
    assert play.beat("a", instance_id="i1", epoch=-2).epoch == -2
    back = play.beat("a2", instance_id="i1", names=frozenset({"t"}))
    assert (back.assignment, play.group.epoch) == (had, epoch)
    with pytest.raises(FencedInstanceId):
        play.beat("a", instance_id="i1", epoch=epoch)
    play.beat("a2", instance_id="i1", epoch=-1)
    assert play.group.epoch == epoch + 1


def test_topics_that_grow_and_subscriptions_that_change_make_a_new_target(play: Play) -> None:
    play.beat("a")
    play.cluster = cluster(2, t=5, u=1)
    grown = play.beat("a")
    assert grown.assignment is not None and (T, 4) in grown.assignment
    more = play.beat("a", names=frozenset({"t", "u"}))
    assert more.assignment is not None and (U, 0) in more.assignment
    fewer = play.beat("a", names=frozenset({"u"}), owned=play.owned["a"])
    assert fewer.assignment == {(U, 0)} and fewer.epoch < play.group.epoch
    assert play.beat("a").epoch == play.group.epoch


def test_a_pattern_follows_topics_that_may_be_seen(play: Play) -> None:
    play.cluster = cluster(1, t=1, __t=1, tx=1, ty=1)
    seen = play.beat("a", names=None, regex="_*t.*", may_see=lambda name: name != "ty")
    assert play.group.subscribed() == {"t", "tx"} and seen.assignment is not None
    play.cluster = cluster(2, t=1, tz=1)
    play.beat("a", may_see=lambda name: True)
    assert play.group.subscribed() == {"t", "tz"}


def test_a_pattern_that_would_never_end_is_read_in_no_time() -> None:
    assert matching("(a*)*b", ["a" * 200, "aab"]) == {"aab"}
    for bad in ("(", "a" * 2000, "(?=x)"):
        with pytest.raises(InvalidRegularExpression):
            compiled(bad)


def test_most_votes_choose_the_assignor(play: Play) -> None:
    play.beat("a", assignor="range")
    play.beat("b", assignor="range")
    play.beat("c", assignor="uniform")
    assert play.group.assignor == "range"
    with pytest.raises(GroupMaxSizeReached):
        play.beat("d")


def test_only_the_current_epoch_commits(play: Play) -> None:
    play.group.check_commit("", None, -1)
    play.beat("a")
    play.group.check_commit("a", None, 1)
    with pytest.raises(StaleMemberEpoch):
        play.group.check_commit("a", None, 0)
    for stranger, epoch in (("b", 1), ("", -1)):
        with pytest.raises(UnknownMemberId):
            play.group.check_commit(stranger, None, epoch)


def test_a_stored_group_goes_on_where_it_was(play: Play) -> None:
    play.beat("a")
    play.beat("b")
    play.beat("a", owned=ALL)
    again = play.rows.read(play.now)
    assert (again.describe(), again.holders) == (play.group.describe(), play.group.holders)
    play.group = again
    play.settle("a", "b")
    assert play.owned["a"] | play.owned["b"] == ALL and not play.owned["a"] & play.owned["b"]
    assert play.group.state is ConsumerGroupState.STABLE


@pytest.mark.parametrize("seed", range(5))
def test_what_steps_write_adds_up_to_the_whole_group(play: Play, seed: int) -> None:
    chance = Random(seed)
    play.limits = replace(LIMITS, max_size=20)
    for _ in range(200):
        name = f"m{chance.randrange(8)}"
        play.now += chance.choice((0.1, 1.0, 20.0))
        if chance.random() < 0.1:
            play.cluster = cluster(version=play.cluster.version + 1, t=chance.randint(1, 30), u=chance.randint(0, 4))
        if chance.random() < 0.05:
            play.group = play.rows.read(play.now)
        play.group.tick(play.now)
        play.rows.save(play.group)
        with contextlib.suppress(UnknownMemberId, FencedMemberEpoch, FencedInstanceId, UnreleasedInstanceId):
            play.beat(name, **_whim(chance, name))
        if name not in play.group.members:
            play.epochs.pop(name, None)
            play.owned.pop(name, None)
        assert seen(play.rows.read(play.now)) == seen(play.group)


def _whim(chance: Random, name: str) -> dict[str, object]:
    """What a member may say besides that it is alive."""
    whims: list[dict[str, object]] = [{}, {}, {}, {"names": frozenset({"t", "u"})}, {"names": frozenset({"t"})}]
    whims += [{"assignor": "range"}, {"epoch": -1}, {"epoch": 0, "owned": frozenset()}]
    return chance.choice(whims)


def test_a_member_that_joins_many_writes_few_rows(play: Play) -> None:
    play.limits = replace(LIMITS, max_size=1000)
    play.cluster = cluster(t=400)
    written = 0
    for number in range(400):
        play.now += 0.001
        play.beat(f"m{number:03}")
        written += play.rows.written
    assert written < 400 * 10
    play.now += 1
    settled = [f"m{number:03}" for number in range(400)]
    play.settle(*settled)
    assert play.group.state is ConsumerGroupState.STABLE
    assert seen(play.rows.read(play.now)) == seen(play.group)


def test_who_joins_a_large_group_soon_after_another_is_asked_to_come_again_soon(play: Play) -> None:
    play.limits = replace(LIMITS, max_size=1000)
    play.cluster = cluster(t=400)
    first = [play.beat(f"m{number:03}") for number in range(102)]
    assert {answer.heartbeat_s for answer in first[:101]} == {play.limits.consumer_heartbeat_s}
    assert 0 < first[101].heartbeat_s < 1
    assert play.group.state is ConsumerGroupState.ASSIGNING
    play.now += first[101].heartbeat_s
    assert play.beat("m101").heartbeat_s == play.limits.consumer_heartbeat_s
    assert len(play.group.target["m101"]) == 3


def test_a_group_that_was_stored_in_one_is_read_and_written_in_rows(play: Play) -> None:
    play.beat("a")
    row = play.rows.row
    members = [json.loads(state) for state in row.members.values() if state is not None]
    old = {**json.loads(row.state), "version": 2, "members": members}
    again, _ = kinds.load(replace(row, state=json.dumps(old), members={}), LIMITS, play.now)
    assert isinstance(again, ConsumerGroup)
    assert again.describe() == play.group.describe()
    play.group = again
    play.beat("b")
    assert (play.rows.row.is_whole, set(play.rows.row.members)) == (True, {"a", "b"})


def test_an_administrator_takes_a_member_out(play: Play) -> None:
    play.beat("a", instance_id="i1")
    assert play.group.leave("", "i1") == "a"
    with pytest.raises(UnknownMemberId):
        play.group.leave("a", None)
