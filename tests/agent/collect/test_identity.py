"""Whose metrics a target shows, where the series carry no broker id."""

import numpy as np

from agent.collect.identity import broker_ids
from agent.store.batch import texts

URL = "http://kafka-1:7071/metrics"


def nodes(hosts: dict[str, str]) -> dict[str, np.ndarray]:
    return {"broker": texts(list(hosts)), "host": texts(list(hosts.values()))}


def test_the_configured_id_comes_first() -> None:
    known, refused = broker_ids([URL], nodes({"1": "kafka-1"}), {URL: "2"}, {URL: "3"})
    assert known == {URL: "3"}
    assert refused == {}


def test_a_target_on_the_host_of_one_broker_is_that_broker_s() -> None:
    assert broker_ids([URL], nodes({"1": "Kafka-1", "2": "kafka-2"}), {}, {})[0] == {URL: "1"}
    local = "http://localhost:7071/metrics"
    assert broker_ids([local], nodes({"7": "127.0.0.1"}), {}, {})[0] == {local: "7"}


def test_two_brokers_on_the_host_are_not_guessed_between_and_the_reason_is_said() -> None:
    known, refused = broker_ids([URL], nodes({"1": "kafka-1", "2": "kafka-1"}), {}, {})
    assert known == {}
    assert "brokers 1, 2 advertise the host kafka-1" in refused[URL]
    assert f"--metrics ID={URL}" in refused[URL]


def test_a_host_that_no_broker_advertises_is_refused() -> None:
    _, refused = broker_ids([URL], nodes({"1": "10.0.0.1"}), {}, {})
    assert "no broker advertises the host kafka-1" in refused[URL]
    assert broker_ids([URL], nodes({}), {}, {}) == ({}, {})
