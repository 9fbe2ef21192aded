"""The reduced form of `make clients`: real clients, three brokers, a thousand records or fewer."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import reference
from tests.clients.cells import COLUMNS
from tests.clients.cluster import Cluster, brokers
from tests.clients.matrix import clients
from tests.clients.records import differences, records

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


@pytest.mark.heavy
def test_what_a_cell_in_another_python_asks_of_the_reference_is_done_beside_it(cluster: Cluster) -> None:
    ground = cluster.ground("beside", 0, timeout_s=40)
    ground = dataclasses.replace(ground, python=str(Path(sys.executable).with_name("python3")))
    sent = records(5)
    reference.create(ground, "beside")
    reference.write(ground, "beside", sent)
    assert differences(sent, reference.read(ground, "beside", 5)) == []
    with pytest.raises(RuntimeError, match=r"the reference client, create: .*already exists"):
        reference.create(ground, "beside")
