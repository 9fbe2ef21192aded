"""Every interleaving of writer, recoverers, sweeper and late effects: the protocol loses nothing, each variant does."""

import pytest

from tests.broker.wal.slot_model import Rules, explore


@pytest.mark.parametrize(
    "rules", [Rules(slots=3), Rules(slots=2, late_fences=True)], ids=["three slots", "two slots and late fences"]
)
def test_no_interleaving_loses_what_was_acknowledged(rules: Rules) -> None:
    """Both at once are 1,265,250 states, a minute's walk, and lose nothing either."""
    states, lost = explore(rules)
    assert lost is None
    assert states > 50_000


@pytest.mark.parametrize(
    "variant",
    [
        Rules(fence_at="list max"),
        Rules(keeps_fences=False),
        Rules(acks_in_order=False),
        Rules(reads_back=False),
        Rules(checks_trim_after=False),
        Rules(trims_before_deleting=False),
        Rules(skips_absent=True),
    ],
    ids=[
        "fence at list max",
        "fence deleted",
        "acknowledged out of slot order",
        "taken means ours",
        "trim point not read again",
        "deleted before the trim point",
        "slot skipped",
    ],
)
def test_a_variant_of_the_protocol_is_found_to_lose(variant: Rules) -> None:
    _, lost = explore(variant)
    assert lost is not None
