"""The reduced form of `make clients`: real clients, three brokers, a thousand records or fewer."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from tests.clients.cells import COLUMNS
from tests.clients.cluster import Cluster, brokers
from tests.clients.matrix import clients

CHOSEN = [
    *(("aiokafka", column) for column in ("produce", "consume", "codecs", "headers", "oauthbearer")),
    *(("confluent-kafka", column) for column in ("idempotence", "transactions", "kip848", "near")),
    *(("kafka-python", column) for column in ("group", "admin", "large", "plain", "mtls")),
    *(("kcat", column) for column in ("consume", "scram")),
    ("java", "headers"),
]


def test_every_column_is_among_them() -> None:
    assert {column for _, column in CHOSEN} == set(COLUMNS)


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
