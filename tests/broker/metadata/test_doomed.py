"""A cordon that a spot notice brought ends with the notice or with the machine; a person's stays."""

import pytest

from broker.errors import EligibleLeadersNotAvailable
from broker.metadata import Metadata, doomed, members
from tests.broker.metadata.conftest import registration


def is_cordoned(metadata: Metadata) -> bool:
    return metadata.image.brokers[0].cordoned


async def test_a_doomed_broker_sends_everything_away_however_often_it_is_said(metadata: Metadata) -> None:
    await metadata.create_topic("t", partitions=3, assignments={i: [0] for i in range(3)})
    for _ in range(2):
        assert await metadata.change(lambda tx: doomed.leave(tx, 0)) == 3
    assert {each.target for each in metadata.image.topics["t"].partitions} == {(1,), (2,)}
    assert is_cordoned(metadata)
    assert await metadata.change(lambda tx: doomed.stay(tx, 0))
    assert not is_cordoned(metadata)
    assert not await metadata.change(lambda tx: doomed.stay(tx, 0))


async def test_the_last_broker_that_may_have_partitions_is_left_as_it_is(metadata: Metadata) -> None:
    for broker in (1, 2):
        await metadata.cordon(broker, True)
    with pytest.raises(EligibleLeadersNotAvailable):
        await metadata.change(lambda tx: doomed.leave(tx, 0))
    await metadata.refresh()
    assert not is_cordoned(metadata)


async def test_the_next_machine_under_the_id_is_not_cordoned(metadata: Metadata) -> None:
    await metadata.change(lambda tx: doomed.leave(tx, 0))
    await metadata.change(lambda tx: members.register(tx, registration(0), 1))
    assert not is_cordoned(metadata)


async def test_a_cordon_of_before_the_notice_outlives_it_and_the_machine(metadata: Metadata) -> None:
    await metadata.cordon(0, True)
    await metadata.change(lambda tx: doomed.leave(tx, 0))
    assert not await metadata.change(lambda tx: doomed.stay(tx, 0))
    await metadata.change(lambda tx: members.register(tx, registration(0), 1))
    assert is_cordoned(metadata)


async def test_a_cordon_that_a_person_sets_after_the_notice_stays_too(metadata: Metadata) -> None:
    await metadata.change(lambda tx: doomed.leave(tx, 0))
    await metadata.cordon(0, True)
    await metadata.change(lambda tx: members.register(tx, registration(0), 1))
    assert is_cordoned(metadata)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_machine_that_is_cut_off_after_its_broker_was_emptied_is_not_missed(
    metadata: Metadata, announced: bool
) -> None:
    epoch = {broker: metadata.image.brokers[broker].epoch for broker in (0, 1)}
    if announced:
        await metadata.change(lambda tx: doomed.leave(tx, 0))
    control = await metadata.change(lambda tx: members.take_control(tx, 1, epoch[1], -1))
    assert control is not None
    await metadata.change(lambda tx: members.declare_dead(tx, 1, control, 0, epoch[0], 1))
    found = metadata.image.brokers[0]
    assert (found.alive, found.departed) == (False, announced)


async def test_one_that_still_led_something_is_missed_until_it_is_recovered(metadata: Metadata) -> None:
    epoch = {broker: metadata.image.brokers[broker].epoch for broker in (0, 1)}
    await metadata.create_topic("t", partitions=1, assignments={0: [0]})
    await metadata.change(lambda tx: doomed.leave(tx, 0))
    control = await metadata.change(lambda tx: members.take_control(tx, 1, epoch[1], -1))
    assert control is not None
    recovery = await metadata.change(lambda tx: members.declare_dead(tx, 1, control, 0, epoch[0], 1))
    assert recovery is not None and not metadata.image.brokers[0].departed
