"""The reduced form of `make clients`: real clients, three brokers, a thousand records each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients import with_kcat
from tests.clients.cluster import brokers
from tests.clients.elsewhere import Elsewhere
from tests.clients.matrix import CLIENTS, check


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with brokers(tmp_path_factory.mktemp("cluster")) as addresses:
        yield addresses


@pytest.mark.heavy
@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_reads_back_what_it_produced_in_order_across_three_brokers(client: str, bootstrap: str) -> None:
    if client == with_kcat.NAME and not with_kcat.available():
        pytest.skip("kcat is not installed")
    found = CLIENTS[client]
    if isinstance(found, Elsewhere) and not found.installed:
        pytest.skip("`make clients` installs it")
    assert check(client, bootstrap, 1000, timeout=40).faults == []
