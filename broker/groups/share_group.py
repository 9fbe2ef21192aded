"""One share group (KIP-932), pure: who is in it, and which partitions each member is to read.

Several members may read one partition, so nobody has to give anything up before another gets it: a heartbeat finds the
members and topics as they are, and answers with the member's share of the newest assignment.

1. Nobody is answered an epoch or a share that has not been stored (law 6).
2. Each partition is read by a member at least, and each member reads a partition at least, where there is any of its
   topics: the partitions of a topic go round its members, and where members are left over they go round the partitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.errors import FencedMemberEpoch, GroupMaxSizeReached, UnknownMemberId
from broker.groups.assignors import Place, Places
from broker.groups.consumer_member import LEFT, NOTHING
from broker.groups.shapes import GroupView, Shapes
from broker.groups.share_settings import ShareSettings
from broker.groups.share_shapes import (
    ShareBeat,
    ShareBeatAnswer,
    ShareGroupState,
    ShareGroupView,
    ShareMemberView,
)
from broker.groups.unsaved import Unsaved
from broker.metadata.image import Image

ASSIGNOR = "simple"


@dataclass(kw_only=True)
class ShareMember:
    """Changed only by its group."""

    member_id: str
    client_id: str
    client_host: str
    rack: str | None = None
    names: frozenset[str] = frozenset()
    epoch: int = 0
    """That it was told last."""
    previous_epoch: int = -1
    assigned: Places = NOTHING
    """What it was told last."""
    deadline: float = 0.0
    """Monotonic seconds: silent past this, it is out."""

    @property
    def told(self) -> tuple[object, ...]:
        """What is stored of it."""
        return (self.client_id, self.client_host, self.rack, self.names, self.epoch, self.assigned)


class ShareGroup(Unsaved):
    """Members, epoch and who reads what."""

    def __init__(self, group_id: str) -> None:
        super().__init__()
        self.group_id = group_id
        self.epoch = 0
        self.members: dict[str, ShareMember] = {}
        self.shapes: Shapes = {}
        """The subscribed topics as the group's epoch knows them."""
        self.pending: tuple[()] = ()
        self._target: Mapping[str, Places] | None = None
        """Of the epoch; None: to be made."""
        self._looked: int | None = None
        """The version of the metadata that `shapes` is of."""
        self._changed = False
        """Whether members came, or read others, since the epoch was made."""

    # -- what is asked of every kind of group ------------------------------------------------------------------------

    def restored(self) -> None:
        """Goes on from the members as they were stored."""
        self._is_stored_whole = True

    @property
    def state(self) -> ShareGroupState:
        return ShareGroupState.STABLE if self.members else ShareGroupState.EMPTY

    def subscribed(self) -> frozenset[str]:
        """The topics that members read."""
        return frozenset[str]().union(*(member.names for member in self.members.values()))

    def view(self) -> GroupView:
        """As ListGroups shows it."""
        return GroupView(
            group_id=self.group_id, state=self.state, protocol_type="share", protocol=ASSIGNOR, members=(), kind="share"
        )

    def due(self) -> float | None:
        """The monotonic second of the next `tick` that changes something."""
        return min((member.deadline for member in self.members.values()), default=None)

    def tick(self, now: float) -> None:
        """Time has passed: who was silent is out."""
        for member in list(self.members.values()):
            if now >= member.deadline:
                self._remove(member)

    def postpone(self, seconds: float) -> None:
        """Gives everyone back the time in which this process was stopped and could not have heard them (law 11)."""
        for member in self.members.values():
            member.deadline += seconds

    # -- the protocol ------------------------------------------------------------------------------------------------

    def heartbeat(self, beat: ShareBeat, cluster: Image, now: float, limits: ShareSettings) -> ShareBeatAnswer:
        """A member's word, and what it is answered."""
        if beat.epoch == LEFT:
            self._remove(self._known(beat.member_id))
            return ShareBeatAnswer(member_id=beat.member_id, epoch=LEFT, heartbeat_ms=0, assignment=None)
        member = self._enter(beat, limits)
        member.deadline = now + limits.session_ms / 1000
        before = member.told
        member.client_id, member.client_host = beat.client_id, beat.client_host
        member.rack = beat.rack if beat.rack is not None else member.rack
        if beat.names is not None and beat.names != member.names:
            member.names, self._changed = beat.names, True
        self._look(cluster)
        had = member.assigned
        if member.epoch != self.epoch:
            member.previous_epoch, member.epoch = member.epoch, self.epoch
            member.assigned = self._assignment().get(member.member_id, NOTHING)
        if member.told != before:
            self._save(member.member_id)
        told = beat.epoch == 0 or beat.epoch != member.epoch or beat.names is not None or member.assigned != had
        return ShareBeatAnswer(
            member_id=member.member_id,
            epoch=member.epoch,
            heartbeat_ms=limits.heartbeat_ms,
            assignment=member.assigned if told else None,
        )

    def describe(self) -> ShareGroupView:
        """As ShareGroupDescribe shows it."""
        members = [
            ShareMemberView(
                member_id=member.member_id,
                rack=member.rack,
                epoch=member.epoch,
                client_id=member.client_id,
                client_host=member.client_host,
                names=tuple(sorted(member.names)),
                assigned=member.assigned,
            )
            for member in self.members.values()
        ]
        return ShareGroupView(
            group_id=self.group_id, state=self.state, epoch=self.epoch, assignor=ASSIGNOR, members=tuple(members)
        )

    def _enter(self, beat: ShareBeat, limits: ShareSettings) -> ShareMember:
        """The member that speaks: known, or new. One that joins again gets what it has."""
        if beat.epoch > 0:
            member = self._known(beat.member_id)
            if beat.epoch not in (member.epoch, member.previous_epoch):
                raise FencedMemberEpoch(f"{member.member_id} is at epoch {member.epoch}, not {beat.epoch}: join again")
            return member
        known = self.members.get(beat.member_id)
        if known is not None:
            return known
        if len(self.members) >= limits.max_size:
            raise GroupMaxSizeReached(f"group {self.group_id} has {limits.max_size} members: see group.share.max.size")
        member = ShareMember(member_id=beat.member_id, client_id=beat.client_id, client_host=beat.client_host)
        self.members[member.member_id] = member
        self._changed = True
        return member

    def _known(self, member_id: str) -> ShareMember:
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberId(f"{member_id} is not in group {self.group_id}: join it again")
        return member

    def _remove(self, member: ShareMember) -> None:
        del self.members[member.member_id]
        self._save(member.member_id)
        self._bump()

    def _look(self, cluster: Image) -> None:
        """Whether subscribed topics came, went or grew, or members read others."""
        if self._looked == cluster.version and not self._changed:
            return
        changed, self._changed = self._changed, False
        self._looked = cluster.version
        found = {name: cluster.topics[name] for name in self.subscribed() if name in cluster.topics}
        shapes = {name: (topic.id, len(topic.partitions)) for name, topic in found.items()}
        if shapes != self.shapes or changed:
            self.shapes = shapes
            self._bump()

    def _bump(self) -> None:
        self.epoch += 1
        self._target, self._store = None, True

    def _save(self, member_id: str) -> None:
        self._touched.add(member_id)
        self._store = True

    def _assignment(self) -> Mapping[str, Places]:
        if self._target is None:
            self._target = assigned({m.member_id: m.names for m in self.members.values()}, self.shapes)
        return self._target


def assigned(members: Mapping[str, frozenset[str]], shapes: Shapes) -> dict[str, Places]:
    """Who reads what (law 2)."""
    found: dict[str, set[Place]] = {member_id: set() for member_id in members}
    turn = 0
    for name in sorted(shapes):
        topic, size = shapes[name]
        readers = sorted(member_id for member_id, names in members.items() if name in names)
        if not readers or not size:
            continue
        for number in range(max(size, len(readers))):
            found[readers[(turn + number) % len(readers)]].add((topic, number % size))
        turn += size
    return {member_id: frozenset(places) for member_id, places in found.items()}
