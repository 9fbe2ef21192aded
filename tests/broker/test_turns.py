"""Long work takes turns, and everyone who asks shares them."""

from __future__ import annotations

import asyncio

from broker.turns import TURN_S, Turns


class Hand:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests = 0

    def wall_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.rests += 1
        await asyncio.sleep(seconds)


async def test_short_work_never_rests() -> None:
    clock = Hand()
    turns = Turns(clock)
    for _ in range(10):
        await turns.rest()
    assert clock.rests == 0


async def test_long_work_lets_others_go_first() -> None:
    clock = Hand()
    turns = Turns(clock)
    went: list[str] = []
    asyncio.get_running_loop().call_soon(went.append, "other")
    await turns.rest()
    clock.now += TURN_S
    await turns.rest()
    assert (clock.rests, went) == (1, ["other"])


async def test_two_long_works_share_one_turn() -> None:
    """Ten requests that each take a whole turn would make one step of ten."""
    clock = Hand()
    turns = Turns(clock)
    order: list[str] = []

    async def work(name: str) -> None:
        await turns.rest()
        order.append(f"{name} begins")
        clock.now += TURN_S
        await turns.rest()
        order.append(f"{name} ends")

    await asyncio.gather(work("a"), work("b"))
    assert order == ["a begins", "a ends", "b begins", "b ends"]


async def test_the_next_pass_of_the_loop_is_a_new_turn() -> None:
    clock = Hand()
    turns = Turns(clock)
    assert not turns.over()
    clock.now += TURN_S
    assert turns.over()
    await asyncio.sleep(0)
    assert not turns.over()
