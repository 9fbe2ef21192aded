"""One group of the new protocol (KIP-848), pure: the broker assigns, and members are brought there one by one.

A heartbeat updates what its member wants, makes a new target when anything changed since the last one, takes the
member one step nearer, and answers with its epoch and, where it changed, its share.

1. A partition is held by one member at a time: who must give it up says that it did before anybody else gets it.
2. Nobody is answered an epoch or a share that has not been stored (law 6).
3. A member's epoch never exceeds the target's, and the target's never the group's.
4. A large group is not assigned anew for each of many that join at once: who comes in the pause after an assignment
   has nothing until the first heartbeat after it, and is asked to give that soon.
"""

from __future__ import annotations

from collections import Counter

from broker.errors import (
    FencedInstanceId,
    FencedMemberEpoch,
    GroupMaxSizeReached,
    StaleMemberEpoch,
    UnknownMemberId,
    UnreleasedInstanceId,
)
from broker.groups.assignors import ASSIGNORS, Candidate, Place, Places, Target
from broker.groups.consumer_member import LEFT, LEFT_FOR_NOW, NOTHING, ConsumerMember, MemberState
from broker.groups.consumer_shapes import (
    BeatAnswer,
    ConsumerGroupState,
    ConsumerGroupView,
    ConsumerMemberView,
    Heartbeat,
)
from broker.groups.patterns import matching
from broker.groups.settings import GroupSettings
from broker.groups.shapes import GroupView, Shapes
from broker.groups.unsaved import Unsaved
from broker.metadata.image import Image

_SMALL = 100
_PAUSE_S_PER_MEMBER = 0.000_1
"""After an assignment of more than a small group's; it takes about a twentieth of that."""
_LEAST_BEAT_S = 0.1


class ConsumerGroup(Unsaved):
    """Members, target and epochs."""

    def __init__(self, group_id: str) -> None:
        super().__init__()
        self.group_id = group_id
        self.epoch = 0
        self.target_epoch = 0
        self.assignor = next(iter(ASSIGNORS))
        self.members: dict[str, ConsumerMember] = {}
        self.target: Target = {}
        self.shapes: Shapes = {}
        """The subscribed topics as the group's epoch knows them."""
        self.holders: dict[Place, str] = {}
        self.pending: tuple[()] = ()
        """No ids are given out that could lapse: clients make their own."""
        self._looked: int | None = None
        """The version of the metadata that `shapes` is of; None when subscriptions changed since."""
        self._assign_after = float("-inf")
        self._due = float("inf")
        """No member's time is up before this; it may be earlier than the first one's."""

    # -- what is asked of every kind of group ------------------------------------------------------------------------

    @property
    def state(self) -> ConsumerGroupState:
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.target_epoch:
            return ConsumerGroupState.ASSIGNING
        if any(m.state is not MemberState.STABLE or m.epoch != self.target_epoch for m in self.members.values()):
            return ConsumerGroupState.RECONCILING
        return ConsumerGroupState.STABLE

    def subscribed(self) -> frozenset[str]:
        """The topics that members read."""
        return frozenset[str]().union(*(member.topics for member in self.members.values()))

    def view(self) -> GroupView:
        """As ListGroups shows it."""
        return GroupView(
            group_id=self.group_id,
            state=self.state,
            protocol_type="consumer",
            protocol=self.assignor,
            members=(),
            kind="consumer",
        )

    def due(self) -> float | None:
        """The monotonic second of the next `tick` that may change something: asked after each heartbeat, it does not
        look at every member.
        """
        return self._due if self.members else None

    def tick(self, now: float) -> None:
        """Time has passed: who was silent, or did not give up what it had to, is out."""
        for member in list(self.members.values()):
            late = member.revoke_deadline is not None and now >= member.revoke_deadline
            if late or now >= member.deadline:
                self._remove(member)
        self._due = min((member.due for member in self.members.values()), default=float("inf"))

    def postpone(self, seconds: float) -> None:
        """Gives everyone back the time in which this process was stopped and could not have heard them (law 11)."""
        for member in self.members.values():
            member.deadline += seconds
            if member.revoke_deadline is not None:
                member.revoke_deadline += seconds
        self._due += seconds

    # -- the protocol ------------------------------------------------------------------------------------------------

    def heartbeat(self, beat: Heartbeat, cluster: Image, now: float, limits: GroupSettings) -> BeatAnswer:
        """A member's word, and what it is answered."""
        if beat.epoch < 0:
            return self._leave(beat)
        member = self._enter(beat, limits)
        had, known = member.assigned, member.member_id in self.target
        member.deadline = now + limits.consumer_session_s
        changed = self._update(member, beat, cluster)
        if changed or not known:
            self._looked = None
        if self._look(cluster) or changed or not known:
            self._bump()
        if self.epoch > self.target_epoch and now >= self._assign_after:
            self._assign()
            self._assign_after = now + max(0, len(self.members) - _SMALL) * _PAUSE_S_PER_MEMBER
        elif not known:
            self._aim(member.member_id, NOTHING)
        owned = NOTHING if beat.epoch == 0 else beat.owned
        before = member.assigned | member.revoking
        target = self.target.get(member.member_id, NOTHING)
        if member.settle(target, self.target_epoch, owned, lambda p: self._is_free(p, member), now):
            self._hold(member, before)
            self._save(member.member_id)
        self._due = min(self._due, member.due)
        told = beat.epoch == 0 or beat.is_whole or member.assigned != had
        return BeatAnswer(
            member_id=member.member_id,
            epoch=member.epoch,
            heartbeat_s=self._beat_s(now, limits),
            assignment=member.assigned if told else None,
        )

    def _beat_s(self, now: float, limits: GroupSettings) -> float:
        """When the member shall speak again: sooner where an assignment is to come."""
        if self.epoch == self.target_epoch:
            return limits.consumer_heartbeat_s
        return min(limits.consumer_heartbeat_s, max(_LEAST_BEAT_S, self._assign_after - now))

    def leave(self, member_id: str, instance_id: str | None) -> str:
        """An administrator takes a member out; its id is returned."""
        member = self._holder(instance_id) if instance_id is not None else self.members.get(member_id)
        if member is None:
            raise UnknownMemberId(f"{instance_id or member_id} is not in group {self.group_id}")
        self._remove(member)
        return member.member_id

    def check_commit(self, member_id: str, instance_id: str | None, epoch: int) -> None:
        """Whether this member may commit offsets, or ask for them."""
        if epoch < 0 and not member_id and not self.members:
            return
        member = self._known(member_id, instance_id)
        if epoch != member.epoch:
            raise StaleMemberEpoch(f"{member_id} of group {self.group_id} is at epoch {member.epoch}, not {epoch}")

    def describe(self) -> ConsumerGroupView:
        """As ConsumerGroupDescribe shows it."""
        members = [
            ConsumerMemberView(
                member_id=member.member_id,
                instance_id=member.instance_id,
                rack=member.rack,
                epoch=member.epoch,
                client_id=member.client_id,
                client_host=member.client_host,
                names=tuple(sorted(member.names)),
                regex=member.regex,
                assigned=member.assigned,
                target=self.target.get(member.member_id, NOTHING),
            )
            for member in self.members.values()
        ]
        return ConsumerGroupView(
            group_id=self.group_id,
            state=self.state,
            epoch=self.epoch,
            target_epoch=self.target_epoch,
            assignor=self.assignor,
            members=tuple(members),
        )

    def restored(self, *, is_whole: bool) -> None:
        """Goes on from the members as they were stored, in rows of their own or not."""
        self._is_stored_whole = is_whole
        self._due = min((member.due for member in self.members.values()), default=float("inf"))
        self.holders = {place: m.member_id for m in self.members.values() for place in m.assigned | m.revoking}

    # -- members -----------------------------------------------------------------------------------------------------

    def _enter(self, beat: Heartbeat, limits: GroupSettings) -> ConsumerMember:
        """The member that speaks: known, new, or back."""
        if beat.epoch > 0:
            member = self._known(beat.member_id, beat.instance_id)
            self._check_epoch(member, beat)
            return member
        holder = self._holder(beat.instance_id) if beat.instance_id is not None else None
        if holder is not None and holder.member_id != beat.member_id:
            if holder.epoch != LEFT_FOR_NOW:
                raise UnreleasedInstanceId(f"{beat.instance_id} of group {self.group_id} is {holder.member_id}")
            return self._replace(holder, beat)
        known = self.members.get(beat.member_id)
        if known is not None:
            return known
        if len(self.members) >= limits.max_size:
            raise GroupMaxSizeReached(f"group {self.group_id} has {limits.max_size} members: see group.max.size")
        member = _new_member(beat)
        self.members[member.member_id] = member
        self._touched.add(member.member_id)
        return member

    def _replace(self, old: ConsumerMember, beat: Heartbeat) -> ConsumerMember:
        """A static member is back under another id: it goes on with what it had."""
        member = _new_member(beat)
        for name in ("names", "regex", "matched", "assignor", "rebalance_timeout_s", "assigned"):
            setattr(member, name, getattr(old, name))
        self._release(old)
        del self.members[old.member_id]
        self.members[member.member_id] = member
        self.target[member.member_id] = self.target.pop(old.member_id, NOTHING)
        self._hold(member, NOTHING)
        self._save(old.member_id)
        self._save(member.member_id)
        return member

    def _leave(self, beat: Heartbeat) -> BeatAnswer:
        member = self._known(beat.member_id, beat.instance_id)
        if beat.epoch == LEFT_FOR_NOW and member.instance_id is not None:
            member.epoch, member.revoke_deadline = LEFT_FOR_NOW, None
            self._save(member.member_id)
        else:
            self._remove(member)
        return BeatAnswer(member_id=member.member_id, epoch=beat.epoch, heartbeat_s=0, assignment=None)

    def _remove(self, member: ConsumerMember) -> None:
        self._release(member)
        del self.members[member.member_id]
        self.target.pop(member.member_id, None)
        self._looked = None
        self._save(member.member_id)
        self._bump()

    def _known(self, member_id: str, instance_id: str | None) -> ConsumerMember:
        if instance_id is not None:
            holder = self._holder(instance_id)
            if holder is not None and holder.member_id != member_id:
                raise FencedInstanceId(f"{instance_id} of group {self.group_id} is now {holder.member_id}")
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberId(f"{member_id or 'a member without id'} is not in group {self.group_id}")
        return member

    def _holder(self, instance_id: str | None) -> ConsumerMember | None:
        return next((member for member in self.members.values() if member.instance_id == instance_id), None)

    def _check_epoch(self, member: ConsumerMember, beat: Heartbeat) -> None:
        """A member may be one epoch behind when the answer that told it was lost: then it owns nothing new."""
        behind = beat.epoch == member.previous_epoch and beat.owned is not None and beat.owned <= member.assigned
        if beat.epoch != member.epoch and not behind:
            raise FencedMemberEpoch(f"{member.member_id} is at epoch {member.epoch}, not {beat.epoch}: join again")

    # -- what is wanted, and the target ------------------------------------------------------------------------------

    def _update(self, member: ConsumerMember, beat: Heartbeat, cluster: Image) -> bool:
        """Takes what the member says; whether it reads other topics now."""
        before, told = member.topics, member.told
        member.client_id, member.client_host = beat.client_id, beat.client_host
        member.rack = beat.rack if beat.rack is not None else member.rack
        member.assignor = beat.assignor or member.assignor
        if beat.rebalance_timeout_s is not None:
            member.rebalance_timeout_s = beat.rebalance_timeout_s
        member.names = beat.names if beat.names is not None else member.names
        member.regex = beat.regex if beat.regex is not None else member.regex
        if member.looked != (cluster.version, member.regex):
            named = (name for name, topic in cluster.topics.items() if not topic.internal)
            found = matching(member.regex, named) if member.regex else frozenset[str]()
            member.matched = frozenset(name for name in found if beat.may_see(name))
            member.looked = (cluster.version, member.regex)
        if member.told != told:
            self._touched.add(member.member_id)
        return member.topics != before

    def _look(self, cluster: Image) -> bool:
        """Whether subscribed topics came, went or grew."""
        if self._looked == cluster.version:
            return False
        self._looked = cluster.version
        found = {name: cluster.topics[name] for name in self.subscribed() if name in cluster.topics}
        shapes = {name: (topic.id, len(topic.partitions)) for name, topic in found.items()}
        changed, self.shapes = shapes != self.shapes, shapes
        return changed

    def _bump(self) -> None:
        self.epoch += 1
        self._store = True

    def _save(self, member_id: str) -> None:
        self._touched.add(member_id)
        self._store = True

    def _aim(self, member_id: str, share: Places) -> None:
        if self.target.get(member_id) != share:
            self._touched.add(member_id)
        self.target[member_id] = share

    def _assign(self) -> None:
        """A new target, by the assignor most members vote for."""
        votes = Counter(m.assignor for m in self.members.values() if m.assignor is not None)
        self.assignor = votes.most_common(1)[0][0] if votes else next(iter(ASSIGNORS))
        candidates = {
            member.member_id: Candidate(
                order=member.instance_id or member.member_id,
                topics=frozenset(self.shapes[name][0] for name in member.topics if name in self.shapes),
                had=self.target.get(member.member_id, NOTHING),
            )
            for member in self.members.values()
        }
        for member_id, share in ASSIGNORS[self.assignor](candidates, dict(self.shapes.values())).items():
            self._aim(member_id, share)
        self.target_epoch = self.epoch
        self._store = True

    def _is_free(self, place: Place, member: ConsumerMember) -> bool:
        return self.holders.get(place, member.member_id) == member.member_id

    def _hold(self, member: ConsumerMember, before: Places) -> None:
        held = member.assigned | member.revoking
        for place in before - held:
            self.holders.pop(place, None)
        for place in held - before:
            self.holders[place] = member.member_id

    def _release(self, member: ConsumerMember) -> None:
        for place in member.assigned | member.revoking:
            self.holders.pop(place, None)


def _new_member(beat: Heartbeat) -> ConsumerMember:
    return ConsumerMember(
        member_id=beat.member_id,
        instance_id=beat.instance_id,
        client_id=beat.client_id,
        client_host=beat.client_host,
    )


__all__ = ["LEFT", "LEFT_FOR_NOW", "ConsumerGroup", "Shapes"]
