"""One group's state machine: the classic protocol, pure. Time, tickets and member ids are handed in.

A step either raises a `KafkaError` (the request is refused, nothing was parked) or leaves its effects to `take()`:
answers for parked requests, and whether the group must be stored before they leave.

1. A parked request is answered exactly once: by a finished rebalance, by the leader's assignment, or by an error.
2. Nobody's answer shows a generation or an assignment that has not been stored (law 6).
3. A member whose request is parked with us does not expire.
"""

from __future__ import annotations

from broker.errors import (
    FencedInstanceId,
    IllegalGeneration,
    InconsistentGroupProtocol,
    KafkaError,
    RebalanceInProgress,
    UnknownMemberId,
)
from broker.groups.member import Member, common_protocols, elect_protocol
from broker.groups.shapes import Answer, Effects, GroupView, JoinAnswer, SyncAnswer, SyncRequest
from broker.groups.state import GroupState, check_step
from broker.groups.subscriptions import PROTOCOL_TYPE, topics_of

_MAX_GENERATION = 2**31 - 1


class Group:
    """Members, generation and state of one group. Joining and leaving are in `membership.py`, on top of this."""

    def __init__(self, group_id: str, *, initial_delay_s: float) -> None:
        self.group_id = group_id
        self.initial_delay_s = initial_delay_s
        self.state = GroupState.EMPTY
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.pending: dict[str, float] = {}
        """Member ids given out and not yet used, with the monotonic second they lapse."""
        self.join_deadline = 0.0
        self.sync_deadline = 0.0
        self.initial_left_s: float | None = None
        """While the first rebalance of an empty group waits for more members: how much longer it may be put off."""
        self.newcomer = False
        self._answers: list[Answer] = []
        self._store = False

    def take(self) -> Effects:
        """What the steps since the last call ask for."""
        effects = Effects(answers=tuple(self._answers), store=self._store)
        self._answers, self._store = [], False
        return effects

    @property
    def has_effects(self) -> bool:
        """Whether the steps since the last `take` ask for anything."""
        return self._store or bool(self._answers)

    def view(self) -> GroupView:
        """The group as others see it. Subscriptions and the protocol show once a generation has chosen one."""
        chosen = self.protocol if self.state is GroupState.STABLE else None
        return GroupView(
            group_id=self.group_id,
            state=self.state,
            protocol_type=self.protocol_type or "",
            protocol=chosen or "",
            members=tuple(member.view(chosen) for member in self.members.values()),
        )

    def sync(self, request: SyncRequest, ticket: int, now: float) -> None:
        """A member asks for its share. Followers park until the leader has brought it."""
        member = self.known(request.member_id, request.instance_id)
        self._check_generation(request.generation)
        named = ((request.protocol_type, self.protocol_type), (request.protocol, self.protocol))
        if any(theirs is not None and theirs != ours for theirs, ours in named):
            raise InconsistentGroupProtocol(f"group {self.group_id} uses {self.protocol_type}/{self.protocol}")
        if self.state is GroupState.PREPARING:
            raise RebalanceInProgress(f"group {self.group_id} is rebalancing: join it again")
        member.touch(now)
        member.synced = True
        if member.syncing is not None:
            self.answer(member.syncing, RebalanceInProgress("a later SyncGroup of the same member took its place"))
        member.syncing = ticket
        if self.state is GroupState.COMPLETING and member.member_id == self.leader:
            shares = dict(request.assignments)
            for other in self.members.values():
                other.assignment = shares.get(other.member_id, b"")
            self.go(GroupState.STABLE)
            self._store = True
        if self.state is GroupState.STABLE:
            self._answer_syncs(now)

    def heartbeat(self, member_id: str, instance_id: str | None, generation: int, now: float) -> None:
        """A sign of life; refused with RebalanceInProgress when the member must join again."""
        member = self.known(member_id, instance_id)
        self._check_generation(generation)
        member.touch(now)
        if self.state is GroupState.PREPARING:
            raise RebalanceInProgress(f"group {self.group_id} is rebalancing: join it again")

    def check_commit(self, member_id: str, instance_id: str | None, generation: int, now: float) -> None:
        """Whether this member may commit offsets now. A commit is a sign of life too."""
        if generation < 0 and self.state is GroupState.EMPTY:
            return
        if generation < 0 and not member_id and instance_id is None:
            raise UnknownMemberId(f"group {self.group_id} has members: only they may commit its offsets")
        member = self.known(member_id, instance_id)
        self._check_generation(generation)
        if self.state is GroupState.COMPLETING:
            raise RebalanceInProgress(f"group {self.group_id} waits for its leader's assignment")
        member.touch(now)

    def subscribed(self) -> frozenset[str] | None:
        """The topics that members read; None where that cannot be known, and everything must be taken as read."""
        if not self.members:
            return frozenset()
        if self.protocol_type != PROTOCOL_TYPE:
            return None
        found = [topics_of(m.protocols[0][1]) if m.protocols else None for m in self.members.values()]
        return None if None in found else frozenset().union(*(topics for topics in found if topics is not None))

    def known(self, member_id: str, instance_id: str | None) -> Member:
        """The member, or UnknownMemberId; FencedInstanceId when its instance has come back under another id."""
        if instance_id is not None:
            holder = self.holder(instance_id)
            if holder is not None and holder.member_id != member_id:
                raise FencedInstanceId(f"{instance_id} of group {self.group_id} is now {holder.member_id}")
        member = self.members.get(member_id)
        if member is None or (instance_id is not None and member.instance_id != instance_id):
            raise UnknownMemberId(f"{member_id or 'a member without id'} is not in group {self.group_id}")
        return member

    def holder(self, instance_id: str) -> Member | None:
        """Who has this static instance id now."""
        return next((member for member in self.members.values() if member.instance_id == instance_id), None)

    def supports(self, protocol_type: str, protocols: tuple[tuple[str, bytes], ...]) -> bool:
        """Whether a member with these assignors would share at least one with everybody."""
        if not protocol_type or not protocols:
            return False
        if not self.members:
            return True
        names = {name for name, _ in protocols}
        return protocol_type == self.protocol_type and bool(names & common_protocols(self.members.values()))

    def answer(self, ticket: int, result: JoinAnswer | SyncAnswer | KafkaError) -> None:
        """Leaves an answer for `take()`."""
        self._answers.append(Answer(ticket=ticket, result=result))

    def join_answer(self, member: Member, *, leader: str | None = None, skip: bool = False) -> JoinAnswer:
        """The current generation as `member` sees it; the leader sees everyone's subscription."""
        shown = self.leader if leader is None else leader
        everyone = tuple((m.member_id, m.instance_id, m.subscription(self.protocol)) for m in self.members.values())
        return JoinAnswer(
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol=self.protocol,
            leader=shown or "",
            member_id=member.member_id,
            members=everyone if member.member_id == shown else (),
            skip_assignment=skip,
        )

    def go(self, state: GroupState) -> None:
        """To the next state, by the table."""
        self.state = check_step(self.state, state)

    def must_store(self) -> None:
        """The next answers rely on what has just changed."""
        self._store = True

    def prepare(self, now: float) -> None:
        """Starts a rebalance: everyone has until the longest rebalance timeout to join again."""
        if self.state is GroupState.COMPLETING:
            self._fail_syncs(RebalanceInProgress(f"group {self.group_id} is rebalancing: join it again"))
        longest = max((member.rebalance_timeout_s for member in self.members.values()), default=0.0)
        first = self.state is GroupState.EMPTY
        delay = min(self.initial_delay_s, longest) if first else longest
        self.initial_left_s = max(longest - delay, 0.0) if first and delay > 0 else None
        self.newcomer = False
        self.join_deadline = now + delay
        self.go(GroupState.PREPARING)
        self.try_complete(now)

    def try_complete(self, now: float) -> None:
        """Ends the rebalance when everyone has joined, or time is up."""
        if self.state is not GroupState.PREPARING:
            return
        everyone = not self.pending and all(member.joining is not None for member in self.members.values())
        time_is_up = now >= self.join_deadline and not self._put_off(now)
        if time_is_up or (everyone and self.initial_left_s is None):
            self._complete(now)

    def _put_off(self, now: float) -> bool:
        """An empty group's first rebalance waits another delay when the last one brought a newcomer."""
        if not self.initial_left_s or not self.newcomer:
            return False
        delay = min(self.initial_delay_s, self.initial_left_s)
        self.initial_left_s -= delay
        self.newcomer = False
        self.join_deadline = now + delay
        return True

    def _complete(self, now: float) -> None:
        """The next generation, of those who joined. Static members keep their place until their session ends."""
        for member in [m for m in self.members.values() if m.joining is None and m.instance_id is None]:
            del self.members[member.member_id]
        joined = [member for member in self.members.values() if member.joining is not None]
        if self.members and not joined:
            self.join_deadline = now + max(member.rebalance_timeout_s for member in self.members.values())
            return
        self.initial_left_s = None
        self.generation = 1 if self.generation == _MAX_GENERATION else self.generation + 1
        self._store = True
        if not self.members:
            self.protocol, self.leader = None, None
            self.go(GroupState.EMPTY)
            return
        if self.leader not in {member.member_id for member in joined}:
            self.leader = joined[0].member_id
        self.protocol = elect_protocol(self.members.values())
        self.sync_deadline = now + max(member.rebalance_timeout_s for member in self.members.values())
        self.go(GroupState.COMPLETING)
        for member in self.members.values():
            member.synced, member.assignment = False, b""
        for member in joined:
            self._answer_join(member, now)

    def _answer_join(self, member: Member, now: float) -> None:
        ticket, member.joining = member.joining, None
        member.touch(now)
        if ticket is not None:
            self.answer(ticket, self.join_answer(member))

    def _answer_syncs(self, now: float) -> None:
        for member in self.members.values():
            ticket, member.syncing = member.syncing, None
            if ticket is not None:
                member.touch(now)
                share = SyncAnswer(
                    protocol_type=self.protocol_type, protocol=self.protocol, assignment=member.assignment
                )
                self.answer(ticket, share)

    def _fail_syncs(self, error: KafkaError) -> None:
        for member in self.members.values():
            ticket, member.syncing = member.syncing, None
            if ticket is not None:
                self.answer(ticket, error)

    def _check_generation(self, generation: int) -> None:
        if generation != self.generation:
            raise IllegalGeneration(f"group {self.group_id} is in generation {self.generation}, not {generation}")
