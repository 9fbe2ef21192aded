"""The new protocol's state machine, wound by hand."""

from __future__ import annotations

import json
from dataclasses import replace
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
from broker.groups import consumer_stored
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.consumer_shapes import BeatAnswer, ConsumerGroupState, Heartbeat
from broker.groups.patterns import compiled, matching
from broker.groups.settings import GroupSettings
from broker.metadata.image import EMPTY, Image, Partition, Topic

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


class Play:
    """A group, a clock and a cluster; members speak through `beat`."""

    def __init__(self) -> None:
        self.group = ConsumerGroup("orders")
        self.now = 100.0
        self.cluster = cluster(t=4)
        self.epochs: dict[str, int] = {}
        self.owned: dict[str, frozenset[tuple[UUID, int]]] = {}

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
        answer = self.group.heartbeat(replace(said, **changes), self.cluster, self.now, LIMITS)  # type: ignore[arg-type]
        self.epochs[name] = answer.epoch
        if answer.assignment is not None:
            self.owned[name] = answer.assignment
        self.group.take()
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
    text = json.dumps(consumer_stored.dump(play.group))
    again = consumer_stored.load("orders", json.loads(text), session_s=45, now=play.now)
    assert (again.describe(), again.holders) == (play.group.describe(), play.group.holders)
    play.group = again
    play.settle("a", "b")
    assert play.owned["a"] | play.owned["b"] == ALL and not play.owned["a"] & play.owned["b"]
    assert play.group.state is ConsumerGroupState.STABLE


def test_an_administrator_takes_a_member_out(play: Play) -> None:
    play.beat("a", instance_id="i1")
    assert play.group.leave("", "i1") == "a"
    with pytest.raises(UnknownMemberId):
        play.group.leave("a", None)
