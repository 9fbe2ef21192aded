"""Zones by address: for brokers without a rack, and for clients whose zone nobody said."""

from dataclasses import replace

import pytest

from agent.collect.lines import Limits
from agent.collect.views import StoreSource
from agent.collect.zones import Zones
from tests.agent.collect.test_collector import Bench

BLOCKS = {"10.0.0.0/8": "far", "10.1.0.0/16": "near", "127.0.0.0/8": "home", "fd00::/8": "six"}


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("10.1.2.3", "near"), ("/10.2.0.1", "far"), ("[fd00::1]", "six"), ("192.168.0.1", None), ("kafka-1", None),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_the_longest_prefix_wins_and_a_name_has_no_zone(host, zone):
    assert Zones(BLOCKS).of(host) == zone


def test_a_client_in_several_zones_has_none():
    members = [
        ("a", "/10.1.0.1"),
        ("a", "/10.1.0.2"),
        ("b", "/10.1.0.1"),
        ("b", "/10.2.0.1"),
        ("c", "host"),
        (None, ""),
    ]
    assert Zones(BLOCKS).of_clients(members) == {"a": "near"}
    assert Zones({}).of_clients(members) == {}


def test_brokers_without_a_rack_and_readers_in_groups_are_placed_by_address(tmp_path):
    bench = Bench(tmp_path, Limits())
    bench.source = StoreSource(bench.store, "c", zones=Zones({**BLOCKS, "127.0.0.1/32": "near"}))
    admin, groups = bench.admin, bench.admin.groups
    admin.nodes = [replace(node, rack=None, host=f"10.{n}.0.1") for n, node in enumerate(admin.nodes)]
    admin.offsets, admin.members = {"g": {("orders", 0): 5}}, {"g": 1}

    def nomads(brokers):
        (group,) = groups(brokers).values()
        return {"g": replace(group, members=tuple(replace(each, client_id="nomad") for each in group.members))}

    admin.groups = nomads
    bench.rounds(3)
    assert bench.source._whereabouts(bench.source._structure(bench.clock.now()))["zone"].tolist() == ["near"]
    crossing = bench.rows(
        "client_load", "broker, bytes_per_s, cross_zone_bytes_per_s, client_zone", "client_id = 'nomad'"
    )
    assert crossing == [("0", 1000.0, 1000.0, "near"), ("1", 1000.0, 0.0, "near"), ("2", 1000.0, 1000.0, "near")]
    shop = bench.rows("client_load", "DISTINCT cross_zone_bytes_per_s, client_zone", "client_id = 'shop/1'")
    assert shop == [(1000.0, "zone-9")]
    bench.close()
