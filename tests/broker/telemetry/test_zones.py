"""Where a client is: rack, then its id, then its address; else unknown."""

import pytest

from broker.telemetry.zones import client_zone, parse_zones, zone_in_client_id

NETWORKS = parse_zones("10.0.0.0/8=wide,10.1.0.0/16=narrow")


@pytest.mark.parametrize(
    ("client_id", "zone"),
    [
        ("zone=z1", "z1"),
        ("orders,zone=z2", "z2"),
        ("a;automq_az=z3;b", "z3"),
        ("ws_az=z4&x=y", "z4"),
        ("ozone=z5", None),
        ("zone=", None),
        ("orders-3", None),
    ],
)
def test_a_client_id_may_name_its_zone(client_id, zone):
    assert zone_in_client_id(client_id) == zone


def test_the_rack_wins_then_the_id_then_the_narrowest_block():
    assert client_zone(rack="r", client_id="zone=z", peer="10.1.2.3", networks=NETWORKS) == "r"
    assert client_zone(rack=None, client_id="zone=z", peer="10.1.2.3", networks=NETWORKS) == "z"
    assert client_zone(rack=None, client_id="x", peer="10.1.2.3", networks=NETWORKS) == "narrow"
    assert client_zone(rack=None, client_id="x", peer="10.2.2.3", networks=NETWORKS) == "wide"


def test_nothing_known_is_unknown():
    assert client_zone(rack=None, client_id="x", peer="192.168.0.1", networks=NETWORKS) is None
    assert client_zone(rack=None, client_id="x", peer="no address", networks=NETWORKS) is None


def test_a_block_without_zone_is_refused_with_an_example():
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/20=use1-az1"):
        parse_zones("10.0.0.0/8")
