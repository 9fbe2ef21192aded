"""Who reads what: everything exactly once, as even as can be, and no more moves than that takes."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.groups.assignors import ASSIGNORS, Candidate, Target

A, B, C = (UUID(int=number) for number in (1, 2, 3))
NONE = frozenset[tuple[UUID, int]]()


def members(**topics: str) -> dict[str, Candidate]:
    """`members(m1="ab")`: m1 reads A and B."""
    ids = {"a": A, "b": B, "c": C}
    return {
        name: Candidate(order=name, topics=frozenset(ids[letter] for letter in letters), had=NONE)
        for name, letters in topics.items()
    }


def again(found: Target, **topics: str) -> dict[str, Candidate]:
    """The same members, with what they were given."""
    return {
        name: Candidate(order=name, topics=each.topics, had=found.get(name, NONE))
        for name, each in members(**topics).items()
    }


def sizes_of(found: Target) -> list[int]:
    return sorted(len(share) for share in found.values())


def test_range_gives_rows_of_the_same_numbers() -> None:
    found = ASSIGNORS["range"](members(x="ab", y="ab"), {A: 3, B: 3})
    assert found == {"x": {(A, 0), (A, 1), (B, 0), (B, 1)}, "y": {(A, 2), (B, 2)}}


def test_uniform_is_even_and_keeps_what_it_can() -> None:
    first = ASSIGNORS["uniform"](members(x="ab", y="ab"), {A: 5, B: 5})
    assert sizes_of(first) == [5, 5]
    joined = ASSIGNORS["uniform"](again(first, x="ab", y="ab", z="ab"), {A: 5, B: 5})
    assert sizes_of(joined) == [3, 3, 4]
    assert joined["x"] <= first["x"] and joined["y"] <= first["y"]
    left = ASSIGNORS["uniform"](again(joined, x="ab", z="ab"), {A: 5, B: 5})
    assert joined["x"] <= left["x"] and joined["z"] <= left["z"]
    grown = ASSIGNORS["uniform"](again(left, x="ab", z="ab"), {A: 6, B: 5})
    assert all(left[name] <= grown[name] for name in left)


def test_different_subscriptions_are_evened_out() -> None:
    found = ASSIGNORS["uniform"](members(x="a", y="ab"), {A: 6, B: 2})
    assert sizes_of(found) == [4, 4]
    assert {(B, 0), (B, 1)} <= found["y"]


def test_nobody_and_nothing_are_no_trouble() -> None:
    for assign in ASSIGNORS.values():
        assert assign({}, {A: 3}) == {}
        assert assign(members(x="b"), {A: 3}) == {"x": NONE}


letters = st.sets(st.sampled_from("abc"), max_size=3).map(lambda found: "".join(sorted(found)))
groups = st.dictionaries(st.sampled_from(["m1", "m2", "m3", "m4"]), letters, max_size=4)


@settings(max_examples=150, deadline=None)
@given(before=groups, after=groups, sizes=st.tuples(*[st.integers(0, 7)] * 3), name=st.sampled_from(sorted(ASSIGNORS)))
def test_everything_goes_to_one_subscriber_whoever_comes_and_goes(
    before: dict[str, str], after: dict[str, str], sizes: tuple[int, int, int], name: str
) -> None:
    counts = dict(zip((A, B, C), sizes, strict=True))
    found = ASSIGNORS[name](again(ASSIGNORS[name](members(**before), counts), **after), counts)
    candidates = members(**after)
    given_out = [place for share in found.values() for place in share]
    wanted = {topic for each in candidates.values() for topic in each.topics}
    assert sorted(given_out) == sorted((topic, i) for topic in wanted for i in range(counts[topic]))
    assert all(place[0] in candidates[member].topics for member, share in found.items() for place in share)
    if name == "uniform" and len({each.topics for each in candidates.values()}) == 1:
        assert max(sizes_of(found)) - min(sizes_of(found)) <= 1
