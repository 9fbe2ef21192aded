"""The classic protocol's state machine, wound by hand."""

from dataclasses import replace

import pytest

from broker.errors import (
    FencedInstanceId,
    GroupMaxSizeReached,
    IllegalGeneration,
    InconsistentGroupProtocol,
    MemberIdRequired,
    NotCoordinator,
    RebalanceInProgress,
    UnknownMemberId,
)
from broker.groups import membership, stored
from broker.groups.group import Group
from broker.groups.shapes import JoinAnswer, JoinRequest, SyncAnswer, SyncRequest
from broker.groups.state import GroupState, check_step
from broker.metadata.placement import java_hash, partition_of

JOIN = JoinRequest(
    group_id="orders",
    member_id="",
    instance_id=None,
    client_id="app",
    client_host="/127.0.0.1",
    session_timeout_s=10,
    rebalance_timeout_s=60,
    protocol_type="consumer",
    protocols=(("range", b"topics"), ("sticky", b"topics+")),
    requires_known_id=False,
    may_skip_assignment=True,
)


class Play:
    """A group, a clock and what has been answered."""

    def __init__(self, initial_delay_s: float = 0) -> None:
        self.group = Group("orders", initial_delay_s=initial_delay_s)
        self.now = 100.0
        self.answers: dict[int, object] = {}
        self.stores = 0
        self._ticket = 0

    def take(self) -> None:
        effects = self.group.take()
        self.stores += effects.store
        for answer in effects.answers:
            assert answer.ticket not in self.answers, "answered twice"
            self.answers[answer.ticket] = answer.result

    def join(self, name: str = "", *, fresh: str = "", **changes: object) -> int:
        self._ticket += 1
        request = replace(JOIN, member_id=name, **changes)
        try:
            membership.join(self.group, request, self._ticket, self.now, new_id=fresh or f"m{self._ticket}", max_size=5)
        finally:
            self.take()
        return self._ticket

    def sync(self, name: str, generation: int | None = None, **shares: bytes) -> int:
        self._ticket += 1
        request = SyncRequest(
            group_id="orders",
            generation=self.group.generation if generation is None else generation,
            member_id=name,
            instance_id=None,
            protocol_type="consumer",
            protocol=None,
            assignments=tuple(shares.items()),
        )
        self.group.sync(request, self._ticket, self.now)
        self.take()
        return self._ticket

    def pass_time(self, seconds: float) -> None:
        """In steps, as the coordinator's ticks do."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 1, until)
            membership.tick(self.group, self.now)
            self.take()

    def beat(self, *names: str) -> None:
        for name in names:
            self.group.heartbeat(name, None, self.group.generation, self.now)

    def stable_pair(self) -> None:
        """Members a (leader) and b, generation 2, stable."""
        self.join(fresh="a")
        self.join(fresh="b")
        self.join("a")
        self.sync("a", a=b"0", b=b"1")
        self.sync("b")
        assert self.group.state is GroupState.STABLE


def test_one_member_joins_syncs_and_has_its_share():
    play = Play()
    joined = play.answers[play.join(fresh="a")]
    assert isinstance(joined, JoinAnswer)
    assert (joined.generation, joined.leader, joined.member_id, joined.protocol) == (1, "a", "a", "range")
    assert joined.members == (("a", None, b"topics"),)
    synced = play.answers[play.sync("a", a=b"all of it")]
    assert synced == SyncAnswer(protocol_type="consumer", protocol="range", assignment=b"all of it")
    assert play.stores == 2


def test_the_first_generation_waits_for_more_members_and_longer_while_they_come():
    play = Play(initial_delay_s=3)
    first = play.join(fresh="a")
    play.pass_time(2)
    second = play.join(fresh="b")
    play.pass_time(1.5)
    assert first not in play.answers
    play.pass_time(3)
    assert play.answers[first].generation == play.answers[second].generation == 1
    assert [member for member, _, _ in play.answers[first].members] == ["a", "b"]
    assert play.answers[second].members == ()


def test_a_second_member_makes_the_first_join_again():
    play = Play()
    play.join(fresh="a")
    play.sync("a", a=b"0,1")
    waiting = play.join(fresh="b")
    with pytest.raises(RebalanceInProgress):
        play.beat("a")
    assert waiting not in play.answers
    again = play.join("a")
    assert play.answers[waiting].generation == play.answers[again].generation == 2
    follower = play.sync("b")
    assert follower not in play.answers
    play.sync("a", a=b"0", b=b"1")
    assert play.answers[follower].assignment == b"1"


def test_who_does_not_join_again_in_time_is_out():
    play = Play()
    play.stable_pair()
    waiting = play.join(fresh="c")
    play.join("b")
    for _ in range(13):
        play.pass_time(4.9)
        if "a" in play.group.members:
            with pytest.raises(RebalanceInProgress):
                play.beat("a")
    answer = play.answers[waiting]
    assert answer.generation == 3
    assert sorted(play.group.members) == ["b", "c"]
    assert play.group.leader in ("b", "c")


def test_a_silent_member_is_out_and_the_others_share_anew():
    play = Play()
    play.stable_pair()
    play.pass_time(8)
    play.beat("a")
    play.pass_time(8)
    assert list(play.group.members) == ["a"]
    assert play.group.state is GroupState.PREPARING


def test_a_parked_member_does_not_expire():
    play = Play(initial_delay_s=30)
    ticket = play.join(fresh="a")
    play.pass_time(29)
    assert "a" in play.group.members
    play.pass_time(2)
    assert play.answers[ticket].generation == 1


def test_a_member_that_never_asks_for_its_share_is_out():
    play = Play()
    play.join(fresh="a")
    for _ in range(31):
        play.pass_time(2)
        if "a" in play.group.members:
            play.beat("a")
    assert not play.group.members
    assert play.group.state is GroupState.EMPTY


def test_the_last_one_leaving_empties_the_group_and_that_is_stored():
    play = Play()
    play.join(fresh="a")
    play.sync("a", a=b"0")
    before = play.stores
    membership.leave(play.group, "a", None, play.now)
    play.take()
    assert play.group.state is GroupState.EMPTY
    assert play.group.generation == 2
    assert play.stores == before + 1
    with pytest.raises(UnknownMemberId):
        membership.leave(play.group, "a", None, play.now)


def test_a_new_member_first_gets_an_id_and_joins_with_it():
    play = Play()
    with pytest.raises(MemberIdRequired) as refused:
        play.join(fresh="app-1", requires_known_id=True)
    assert refused.value.message == "app-1"
    assert play.group.state is GroupState.EMPTY
    ticket = play.join("app-1", requires_known_id=True)
    assert play.answers[ticket].member_id == "app-1"


def test_an_id_that_is_not_used_lapses():
    play = Play()
    with pytest.raises(MemberIdRequired):
        play.join(fresh="app-1", requires_known_id=True)
    play.pass_time(11)
    with pytest.raises(UnknownMemberId):
        play.join("app-1", requires_known_id=True)


def test_assignors_must_have_one_in_common_and_most_votes_win():
    play = Play()
    play.join(fresh="a", protocols=(("range", b""), ("sticky", b"")))
    with pytest.raises(InconsistentGroupProtocol):
        play.join(fresh="b", protocols=(("mine", b""),))
    with pytest.raises(InconsistentGroupProtocol):
        play.join(fresh="b", protocol_type="connect")
    play.join(fresh="b", protocols=(("sticky", b""),))
    play.join("a", protocols=(("range", b""), ("sticky", b"")))
    assert play.group.protocol == "sticky"


def test_a_wrong_generation_or_member_is_told_so():
    play = Play()
    play.stable_pair()
    with pytest.raises(IllegalGeneration):
        play.group.heartbeat("a", None, 1, play.now)
    with pytest.raises(UnknownMemberId):
        play.group.heartbeat("x", None, 2, play.now)
    with pytest.raises(IllegalGeneration):
        play.sync("a", generation=7)


def test_a_repeated_join_of_a_follower_costs_no_rebalance_but_the_leaders_does():
    play = Play()
    play.stable_pair()
    again = play.answers[play.join("b")]
    assert again.generation == 2
    assert play.group.state is GroupState.STABLE
    play.join("a")
    assert play.group.state is GroupState.PREPARING


def test_a_changed_subscription_rebalances():
    play = Play()
    play.stable_pair()
    play.join("b", protocols=(("range", b"other topics"),))
    assert play.group.state is GroupState.PREPARING


def test_commits_are_taken_from_members_only_and_not_while_the_assignment_is_open():
    play = Play()
    play.group.check_commit("", None, -1, play.now)
    play.join(fresh="a")
    with pytest.raises(RebalanceInProgress):
        play.group.check_commit("a", None, 1, play.now)
    play.sync("a", a=b"0")
    play.group.check_commit("a", None, 1, play.now)
    with pytest.raises(UnknownMemberId):
        play.group.check_commit("", None, -1, play.now)
    with pytest.raises(IllegalGeneration):
        play.group.check_commit("a", None, 0, play.now)


def test_a_static_member_comes_back_without_a_rebalance():
    play = Play()
    play.join(fresh="a-1", instance_id="a")
    play.sync("a-1", **{"a-1": b"0"})
    back = play.answers[play.join(fresh="a-2", instance_id="a")]
    assert (back.generation, back.member_id, back.leader, back.skip_assignment) == (1, "a-2", "a-2", True)
    assert play.group.state is GroupState.STABLE
    assert play.answers[play.sync("a-2")].assignment == b"0"
    with pytest.raises(FencedInstanceId):
        play.group.heartbeat("a-1", "a", 1, play.now)


def test_a_returning_static_leader_that_cannot_skip_is_shown_its_old_id_as_leader():
    play = Play()
    play.join(fresh="a-1", instance_id="a", may_skip_assignment=False)
    play.sync("a-1", **{"a-1": b"0"})
    back = play.answers[play.join(fresh="a-2", instance_id="a", may_skip_assignment=False)]
    assert (back.leader, back.members, back.skip_assignment) == ("a-1", (), False)


def test_a_static_member_may_be_removed_by_its_instance_alone():
    play = Play()
    play.join(fresh="a-1", instance_id="a")
    assert membership.leave(play.group, "", "a", play.now) == "a-1"
    with pytest.raises(UnknownMemberId):
        membership.leave(play.group, "", "a", play.now)


def test_a_group_has_a_largest_size():
    play = Play(initial_delay_s=3)
    for number in range(5):
        play.join(fresh=f"m{number}")
    with pytest.raises(GroupMaxSizeReached):
        play.join(fresh="one too many")


def test_parked_requests_are_answered_when_the_group_moves():
    play = Play()
    play.join(fresh="a")
    play.sync("a", a=b"0")
    parked = play.join(fresh="b")
    membership.abandon(play.group, NotCoordinator("moved"))
    play.take()
    assert isinstance(play.answers[parked], NotCoordinator)


def test_time_in_which_the_process_was_stopped_counts_for_nobody():
    play = Play()
    play.stable_pair()
    membership.postpone(play.group, 300)
    play.now += 300
    membership.tick(play.group, play.now)
    assert sorted(play.group.members) == ["a", "b"]
    assert membership.due(play.group) > play.now


def test_another_coordinator_goes_on_with_the_generation():
    play = Play()
    play.stable_pair()
    again = stored.load("orders", stored.dump(play.group), initial_delay_s=0, now=7.0)
    assert again.view() == play.group.view()
    again.heartbeat("b", None, 2, 8.0)
    assert again.members["b"].deadline == 18.0
    assert again.members["b"].assignment == b"1"


def test_no_step_is_outside_the_table():
    with pytest.raises(ValueError, match="Empty to Stable"):
        check_step(GroupState.EMPTY, GroupState.STABLE)


def test_the_hash_is_javas():
    assert java_hash("hello") == 99162322
    assert java_hash("polygenelubricants") == -(2**31)
    assert partition_of("polygenelubricants", 50) == 0
    assert partition_of("test-group", 50) == abs(java_hash("test-group")) % 50
    assert java_hash("\U0001f600") == 1772899
