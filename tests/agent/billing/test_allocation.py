"""Whose money it is: the sum never changes, and what cannot be said stays unsaid."""

import pytest

from agent.billing.allocation import WAYS, Allocation, Seen

CHARGES = {
    ("compute", "c/broker/0"): 6.0,
    ("requests", "c/broker/1"): 2.0,
    ("network", "c/client/reports"): 4.0,
    ("storage", "c/topic/orders"): 3.0,
    ("storage", "c/store/objects"): 1.0,
}


def _client(name, direction, size, across, zone="a"):
    return {
        "client_id": name, "direction": direction, "bytes_per_s": size, "cross_zone_bytes_per_s": across,
        "client_zone": zone,
    }  # fmt: skip


SEEN = Seen(
    brokers=[{"broker": "0", "zone": "a"}, {"broker": "1", "zone": "b"}],
    partition_load=[
        {"topic": "orders", "bytes_in_per_s": 50.0, "bytes_out_per_s": 25.0},
        {"topic": "clicks", "bytes_in_per_s": 25.0, "bytes_out_per_s": None},
    ],
    client_load=[
        _client("shop", "produce", 60.0, 0.0),
        _client("reports", "fetch", 30.0, 30.0, "b"),
        _client("reports-slow", "fetch", 10.0, None, None),
    ],
    group_lag=[
        {"group_id": "bi", "member_id": "reports-5f0c"},
        {"group_id": "slow", "member_id": "reports-slow-77aa"},
        {"group_id": "gone", "member_id": None},
    ],
)


def spent(by: str) -> dict[str, float]:
    sums: dict[str, float] = {"": 0.0}
    for (component, resource), usd in CHARGES.items():
        shares = Allocation(by, SEEN).of(component, resource)
        for name, share in shares.items():
            sums[name] = sums.get(name, 0.0) + share * usd
        sums[""] += usd * (1 - sum(shares.values()))
    return {name: pytest.approx(usd) for name, usd in sums.items() if abs(usd) > 1e-9}


def test_topics_pay_for_what_they_store_and_share_the_rest_by_bytes() -> None:
    assert spent("topic") == {"orders": 3 + 0.75 * 13, "clicks": 0.25 * 13}


def test_clients_pay_for_what_they_send_across_and_share_the_rest_by_bytes() -> None:
    assert spent("client") == {"shop": 0.6 * 12, "reports": 4 + 0.3 * 12, "reports-slow": 0.1 * 12}


def test_groups_pay_for_what_their_members_read_and_producers_are_not_allocated() -> None:
    assert spent("group") == {"bi": 4 + 0.3 * 12, "slow": 0.1 * 12, "": 0.6 * 12}


def test_zones_have_their_brokers_and_clients_and_the_store_is_in_none() -> None:
    assert spent("zone") == {"a": 6.0, "b": 2.0 + 4.0, "": 4.0}


@pytest.mark.parametrize("by", WAYS)
def test_the_sum_is_the_same_whatever_the_way(by: str) -> None:
    assert sum(usd.expected for usd in spent(by).values()) == pytest.approx(sum(CHARGES.values()))


@pytest.mark.parametrize("by", WAYS)
def test_nothing_seen_allocates_nothing_that_was_not_measured(by: str) -> None:
    shares = Allocation(by, Seen()).of("compute", "c/broker/0")
    assert shares == ({"compute": 1.0} if by == "component" else {})
