"""The object WAL's protocol as a small state machine, and a walk through every interleaving of it.

One writer with two or three slots, all in flight at once; two recoverers, one of which holds the duty; a sweeper; and a
store in which any PUT, a slot's or a fence's, may take effect at any later time, with or without an answer. A slot
stands for one record. A step is one thing that happens somewhere else than the step before it: an effect in the store,
a read, a transaction.

Left out, because it could only hide a loss: acknowledgements come at once when they may, and every slot has been sent
from the start (one that never takes effect is as good as one that was not sent).

What must hold in every state: once the ranges are closed, everything the writer has acknowledged, then or later, lies
below the committed end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

ABSENT, DATA, FENCE = "-", "d", "F"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The protocol, and how a variant departs from it."""

    slots: int = 3
    late_fences: bool = False
    """Whether a fence may take effect late too, when its recoverer is long gone: ten times the states."""
    fence_at: str = "lowest absent"
    """Or "list max": behind the highest slot that a LIST, which may be stale, shows."""
    keeps_fences: bool = True
    acks_in_order: bool = True
    reads_back: bool = True
    """False: "the key is taken" counts as done."""
    checks_trim_after: bool = True
    trims_before_deleting: bool = True
    skips_absent: bool = False
    """True: a slot in doubt that is found absent is taken for done instead of being sent again."""


class Recoverer(NamedTuple):
    begun: int = -1
    """The trim point it read; -1 before that."""
    at: int = -1
    """Where it looks next; what lies between is read."""
    fenced: bool = False
    checked: bool = False
    read: frozenset[int] = frozenset()


class State(NamedTuple):
    store: tuple[str, ...]
    """One place more than slots: that of a fence behind all of them."""
    pending: tuple[bool, ...]
    """Whether a PUT of the slot is on its way that has had no effect yet."""
    fences: tuple[bool, ...]
    """The same for a fence that its recoverer gave up on."""
    done: tuple[bool, ...]
    """Whether the writer knows that the slot is stored."""
    acked: frozenset[int] = frozenset()
    over: bool = False
    """The writer met a fence."""
    trim: int = 0
    committed: int = 0
    closed: bool = False
    duty: int = 0
    """Which recoverer holds the recovery."""
    recoverers: tuple[Recoverer, Recoverer] = (Recoverer(), Recoverer())


def beginning(slots: int) -> State:
    return State(
        store=(ABSENT,) * (slots + 1),
        pending=(True,) * slots,
        fences=(False,) * (slots + 1),
        done=(False,) * slots,
    )


def put_in(values: Any, index: int, value: object) -> Any:
    return (*values[:index], value, *values[index + 1 :])


def is_lost(state: State) -> bool:
    return state.closed and any(slot >= state.committed for slot in state.acked)


def steps(state: State, rules: Rules) -> Iterator[State]:
    for after in _steps(state, rules):
        yield acknowledged(after, rules)


def _steps(state: State, rules: Rules) -> Iterator[State]:
    yield from store_steps(state, rules)
    if not state.over:
        yield from read_backs(state, rules)
    yield from trims(state)
    for who in (0, 1):
        yield from recoverer_steps(state, rules, who)
    if state.duty == 0 and not state.closed:
        yield state._replace(duty=1)
    yield from deletions(state, rules)


def acknowledged(state: State, rules: Rules) -> State:
    if state.over:
        return state
    acked = state.acked
    for slot in range(rules.slots):
        if state.done[slot]:
            acked = acked | {slot}
        elif rules.acks_in_order:
            break
    return state if acked is state.acked else state._replace(acked=acked)


def store_steps(state: State, rules: Rules) -> Iterator[State]:
    """A PUT takes effect, and the writer hears of it or not."""
    for slot in range(rules.slots + 1):
        free = state.store[slot] == ABSENT
        if state.fences[slot]:
            store = put_in(state.store, slot, FENCE) if free else state.store
            yield state._replace(store=store, fences=put_in(state.fences, slot, False))
        if slot < rules.slots and state.pending[slot]:
            store = put_in(state.store, slot, DATA) if free else state.store
            after = state._replace(store=store, pending=put_in(state.pending, slot, False))
            yield after
            if free or not rules.reads_back:
                yield after._replace(done=put_in(state.done, slot, True))


def read_backs(state: State, rules: Rules) -> Iterator[State]:
    """A slot in doubt is read, at one instant."""
    for slot in range(rules.slots):
        if not state.done[slot]:
            found = state.store[slot]
            if found == DATA or (found == ABSENT and rules.skips_absent):
                yield state._replace(done=put_in(state.done, slot, True))
            elif found == FENCE:
                yield state._replace(over=True)
            else:
                yield state._replace(pending=put_in(state.pending, slot, True))


def trims(state: State) -> Iterator[State]:
    """An upload of the acknowledged prefix is committed while the ranges are open; the trim point follows it."""
    if not state.closed and state.committed in state.acked:
        yield state._replace(committed=state.committed + 1)
    if state.trim < state.committed and state.trim in state.acked:
        yield state._replace(trim=state.trim + 1)


def recoverer_steps(state: State, rules: Rules, who: int) -> Iterator[State]:
    me = state.recoverers[who]

    def with_me(changed: Recoverer, **others: Any) -> State:
        return state._replace(recoverers=put_in(state.recoverers, who, changed), **others)

    if me.begun < 0:
        yield with_me(Recoverer(begun=state.trim, at=state.trim))
    elif not me.fenced:
        yield from (listed if rules.fence_at == "list max" else walked)(state, rules, me, with_me)
    elif not me.checked:
        if rules.checks_trim_after and state.trim > me.at:
            yield with_me(Recoverer(begun=state.trim, at=state.trim))
        else:
            yield with_me(me._replace(checked=True))
    elif state.duty == who and not state.closed:
        end = state.committed
        while end in me.read or (me.begun <= end < me.at and not me.read):
            end += 1
        yield state._replace(committed=end, closed=True)


def walked(state: State, rules: Rules, me: Recoverer, with_me: Callable[..., State]) -> Iterator[State]:
    """One slot: what lies there, or the fence put where nothing does; that PUT may get lost on its way."""
    found = state.store[me.at]
    if found == DATA:
        yield with_me(me._replace(at=me.at + 1))
        return
    yield with_me(me._replace(fenced=True), store=put_in(state.store, me.at, FENCE))
    if found == ABSENT and rules.late_fences:
        yield state._replace(fences=put_in(state.fences, me.at, True))


def listed(state: State, rules: Rules, me: Recoverer, with_me: Callable[..., State]) -> Iterator[State]:
    """A LIST, which may show less than there is, and the fence behind the highest slot it shows."""
    there = [slot for slot in range(me.begun, rules.slots) if state.store[slot] == DATA]
    for count in range(len(there) + 1):
        shown = frozenset(there[:count])
        top = max(shown, default=me.begun - 1) + 1
        if state.store[top] != DATA:
            fenced = me._replace(at=top, fenced=True, read=shown | {-1})
            yield with_me(fenced, store=put_in(state.store, top, FENCE))


def deletions(state: State, rules: Rules) -> Iterator[State]:
    """Below the trim point, and in a settled epoch; fences in the variant only."""
    below = state.trim if rules.trims_before_deleting else state.committed
    for slot in range(rules.slots + 1):
        found = state.store[slot]
        if (found == DATA and (state.closed or slot < below)) or (
            found == FENCE and state.closed and not rules.keeps_fences
        ):
            yield state._replace(store=put_in(state.store, slot, ABSENT))


def explore(rules: Rules) -> tuple[int, State | None]:
    """Every reachable state, once; how many, and one in which something acknowledged is lost."""
    seen = {beginning(rules.slots)}
    todo = list(seen)
    while todo:
        state = todo.pop()
        if is_lost(state):
            return len(seen), state
        for after in steps(state, rules):
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return len(seen), None
