"""Scenarios: the same for a seed, clear where a problem is planted, quiet everywhere else."""

import zlib

import pytest

from agent.demo.plant import CROSS_FLOOR, draw, drawn_plants, faults
from agent.demo.scenario import PLANTS, Node, Scenario

NODES = tuple(Node(id=number, zone=f"zone-{'abc'[number]}") for number in range(3))
MIB = 1024 * 1024
SEEDS = range(1, 41)


def scenario(seed: int, plants: tuple[str, ...] | None = None) -> Scenario:
    return draw(seed=seed, plants=drawn_plants(seed) if plants is None else plants, nodes=NODES, cluster="demo")


def test_the_same_seed_gives_the_same_scenario() -> None:
    assert scenario(7) == scenario(7)
    assert scenario(7) != scenario(8)


def test_seed_one_plants_everything_and_twenty_seeds_plant_many_subsets_and_nothing() -> None:
    drawn = [drawn_plants(seed) for seed in range(1, 21)]
    assert drawn[0] == PLANTS
    assert () in drawn
    assert len(set(drawn)) >= 10
    assert {plant for plants in drawn for plant in plants} == set(PLANTS)


def test_each_truth_names_a_rule_and_a_resource_of_the_scenario() -> None:
    drawn = scenario(1)
    rules = {truth.plant: truth.rule for truth in drawn.truths}
    assert rules == {
        "hot-broker": "BAL-01",
        "hot-key": "BAL-03",
        "cross-zone": "NET-01",
        "no-compression": "CLI-02",
        "stopped-consumer": "LAG-02",
    }
    by_plant = {truth.plant: truth.resource for truth in drawn.truths}
    load = drawn.broker_load()
    assert by_plant["hot-broker"] == f"demo/broker/{max(load, key=load.__getitem__)}"
    ((topic, partition),) = drawn.pinned
    assert by_plant["hot-key"] == f"demo/topic/{topic}/{partition}"
    assert by_plant["no-compression"] in {f"demo/client/{t.producer}" for t in drawn.traffic if t.codec == "none"}
    assert by_plant["cross-zone"] in {f"demo/client/{t.consumer}" for t in drawn.traffic if ",zone=" in t.consumer}
    assert by_plant["stopped-consumer"] == f"demo/group/{drawn.side_reader.group}"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_drawn_scenario_is_sound(seed: int) -> None:
    assert faults(scenario(seed)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hot_broker_carries_near_twice_the_mean_and_otherwise_all_are_even(seed: int) -> None:
    assert scenario(seed, ("hot-broker",)).busiest_over_mean > 1.85
    assert scenario(seed, ()).busiest_over_mean < 1.08
    assert scenario(seed, tuple(plant for plant in PLANTS if plant != "hot-broker")).busiest_over_mean < 1.08


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hot_key_has_most_of_its_topic_and_no_other_partition_comes_near_half(seed: int) -> None:
    drawn = scenario(seed)
    for traffic in drawn.traffic:
        hot = [stream for stream in traffic.streams if stream.hot_key]
        if hot:
            assert hot[0].bytes_per_s * hot[0].hot_share > 0.6 * traffic.bytes_per_s
            assert hot[0].bytes_per_s < 0.8 * drawn.bytes_per_s / len(NODES)
            assert len(traffic.streams) >= 4
        else:
            assert traffic.top_share < 0.4


def test_only_a_planted_producer_is_uncompressed_and_it_is_past_one_and_a_half_mebibytes() -> None:
    for seed in SEEDS:
        plain = [traffic for traffic in scenario(seed).traffic if traffic.codec == "none"]
        assert len(plain) == ("no-compression" in drawn_plants(seed))
        assert all(traffic.bytes_per_s > 1.5 * MIB for traffic in plain)


def test_only_a_planted_reader_says_its_zone_and_most_of_what_it_reads_is_led_elsewhere() -> None:
    for seed in SEEDS:
        drawn = scenario(seed)
        zoned = [traffic for traffic in drawn.traffic if "zone=" in traffic.consumer]
        assert len(zoned) == ("cross-zone" in drawn.plants)
        for traffic in zoned:
            own = frozenset(node.id for node in NODES if traffic.consumer.endswith(f",zone={node.zone}"))
            assert traffic.owned_elsewhere(own) >= CROSS_FLOOR
            assert traffic.owned_elsewhere(own) * 86_400 / 1e9 * 0.02 > 1.9


def test_keys_go_where_the_clients_own_partitioner_sends_them() -> None:
    for traffic in scenario(3).traffic:
        for stream in traffic.streams:
            assert all(zlib.crc32(key.encode()) % len(traffic.streams) == stream.partition for key in stream.keys)


def test_client_ids_and_groups_are_each_used_once() -> None:
    drawn = scenario(1)
    clients = [name for traffic in drawn.traffic for name in (traffic.producer, traffic.consumer)]
    clients.append(drawn.side_reader.consumer)
    groups = [traffic.group for traffic in drawn.traffic] + [drawn.side_reader.group]
    assert len(set(clients)) == len(clients)
    assert len(set(groups)) == len(groups)


def test_two_brokers_are_refused_with_the_next_step() -> None:
    with pytest.raises(ValueError, match="use three brokers"):
        draw(seed=1, plants=PLANTS, nodes=NODES[:2], cluster="demo")
