"""Strangers cannot make a broker talk: lines are few, and what is left out is counted."""

from __future__ import annotations

from broker.seldom import EVERY_S, MOST, Seldom
from tests.broker.test_turns import Hand


def test_the_same_reason_of_the_same_peer_is_told_once_and_then_counted() -> None:
    hand, told = Hand(), list[str]()
    seldom = Seldom(hand, told.append)
    for size in range(100):
        seldom.say("10.0.0.1", f"a frame of {size} bytes", f"hung up: a frame of {size} bytes")
    assert told == ["hung up: a frame of 0 bytes"]
    hand.now += EVERY_S
    seldom.sweep()
    assert told[1:] == ["10.0.0.1: a frame of N bytes: 99 more of these in 10 s"]


def test_another_reason_and_another_peer_are_told() -> None:
    told: list[str] = []
    seldom = Seldom(Hand(), told.append)
    for peer, reason in (("a", "slow"), ("a", "garbled"), ("b", "slow")):
        seldom.say(peer, reason, f"{peer} {reason}")
    assert told == ["a slow", "a garbled", "b slow"]


def test_a_crowd_of_addresses_costs_no_more_than_so_many_lines() -> None:
    hand, told = Hand(), list[str]()
    seldom = Seldom(hand, told.append)
    for number in range(10 * MOST):
        seldom.say(f"peer-{number}", "garbled", "hung up")
    assert (len(told), len(seldom._said)) == (MOST, MOST)
    hand.now += EVERY_S
    seldom.say("late", "garbled", "hung up")
    assert told[MOST:] == [f"{9 * MOST} more of other addresses or reasons were left out", "hung up"]
