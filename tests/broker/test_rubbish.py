"""The cycle collector walks what is new, and everything only when the process has grown far beyond what it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from broker.rubbish import SPARE_BLOCKS, Rubbish


class Thing:
    """Something that may be part of a cycle."""

    def __init__(self) -> None:
        self.myself: Thing | None = None


class Memory:
    """How much the process holds, as the test likes."""

    blocks = 1000

    def __call__(self) -> int:
        return self.blocks


@pytest.fixture
def memory() -> Iterator[Memory]:
    held = Memory()
    rubbish = Rubbish(held)
    rubbish.begin()
    yield held
    rubbish.end()


def cycle() -> Thing:
    thing = Thing()
    thing.myself = thing
    return thing


def test_what_survived_once_is_not_walked_again(memory: Memory) -> None:
    kept = [Thing() for _ in range(1000)]
    gc.collect()
    assert len(gc.get_objects()) < len(kept)


def test_a_cycle_that_dies_young_is_collected(memory: Memory) -> None:
    gone = weakref.ref(cycle())
    gc.collect()
    assert gone() is None


def test_a_process_that_grew_far_walks_everything_once(memory: Memory) -> None:
    thing = cycle()
    gone = weakref.ref(thing)
    gc.collect()
    del thing
    gc.collect()
    assert gone() is not None
    memory.blocks += 2 * memory.blocks + SPARE_BLOCKS
    gc.collect()
    gc.collect()
    assert gone() is None
    assert gc.get_freeze_count() > 0


def test_the_collector_is_given_back_as_it_was() -> None:
    before = gc.get_threshold()
    rubbish = Rubbish()
    rubbish.begin()
    rubbish.end()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
