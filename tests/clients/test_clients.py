"""The reduced form of `make clients`: real clients, three brokers, a thousand records or fewer."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from tests.clients.cluster import Cluster, brokers
from tests.clients.matrix import clients

CHOSEN = [
    *((client, "group") for client in ("aiokafka", "confluent-kafka", "kafka-python", "kcat")),
    *(("confluent-kafka", column) for column in ("transactions", "admin")),
    ("java", "headers"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with brokers(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.mark.heavy
@pytest.mark.parametrize(("client", "column"), CHOSEN)
def test_a_client_does_it_and_all_it_reads_is_what_was_sent(client: str, column: str, cluster: Cluster) -> None:
    module = importlib.import_module(clients()[client].module)
    if why := module.available():
        pytest.skip(f"{client}: {why}")
    assert module.CELLS[column](cluster.ground(f"{client}-{column}", 600, timeout_s=40)) == []
