"""Bad input, as a person would meet it: one clear message with the next step, a non-zero exit, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "agent.cli"]


def run(*arguments: str, timeout: float = 120, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*prefix, *CLI, *arguments], capture_output=True, text=True, timeout=timeout, cwd=ROOT)


@contextmanager
def one_broker(directory: Path, port: int, *extra: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    command = [*CLI, "up", "--brokers", "1", "--dir", str(directory), "--port", str(port), "--no-agent", *extra]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=30)[1]
        yield process, json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def assert_one_clear_message(
    result: subprocess.CompletedProcess[str], *names: str, exits: tuple[int, ...] = (1, 2)
) -> None:
    assert result.returncode in exits, result
    assert "Traceback" not in result.stdout + result.stderr, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    for name in names:
        assert name in last, result.stderr


def test_a_wrong_config_file_is_named_with_the_key_and_the_nearest_known_one(tmp_path: Path) -> None:
    config = tmp_path / "streampilot.toml"
    config.write_text('[agent]\nscrape_intervall = "5s"\n')
    result = run("agent", "--config", str(config), "--bootstrap-servers", "127.0.0.1:1", "--dir", str(tmp_path / "a"))
    assert_one_clear_message(result, "streampilot.toml", "scrape_intervall", "scrape_interval", exits=(2,))


def test_a_config_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "streampilot.toml"
    config.write_text("[agent\n")
    result = run("agent", "--config", str(config), "--bootstrap-servers", "127.0.0.1:1", "--dir", str(tmp_path / "a"))
    assert_one_clear_message(result, "streampilot.toml", "line 1", exits=(2,))


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("up", "--brokers", "1", "--dir", str(tmp_path), "--port", str(port), "--no-agent")
    assert_one_clear_message(result, str(port))
    assert "use" in result.stderr


def test_an_unreachable_bootstrap_server_is_named_by_inspect_and_by_the_agent(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert_one_clear_message(run("inspect", "--bootstrap-servers", address), address, exits=(2,))
    assert_one_clear_message(
        run("agent", "--bootstrap-servers", address, "--dir", str(tmp_path / "agent"), "--port", "0"),
        address,
        exits=(2,),
    )


def test_a_client_properties_file_with_an_unknown_mechanism_is_named(tmp_path: Path) -> None:
    properties = tmp_path / "client.properties"
    properties.write_text("security.protocol=SASL_SSL\nsasl.mechanism=KERBEROS9\n")
    result = run("inspect", "--bootstrap-servers", "127.0.0.1:1", "--command-config", str(properties))
    assert_one_clear_message(result, "client.properties", "KERBEROS9", exits=(2,))


def test_a_bad_rule_page_is_named_with_its_key(tmp_path: Path) -> None:
    page = tmp_path / "mine.md"
    page.write_text("---\nid: OWN-01\ntitel: wrong\n---\n")
    result = run("rules", "test", str(page))
    assert_one_clear_message(result, "mine.md", "titel")


def test_a_malformed_bill_is_named_with_its_row(tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "BilledCost,EffectiveCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ServiceName,ServiceCategory\n"
        "1.5,1.5,USD,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,S3,Storage\n"
        "lots,1.5,USD,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,S3,Storage\n"
    )
    with one_broker(tmp_path / "cluster", free_port()) as (_, ready):
        bootstrap = str(ready["bootstrap"])
        result = run(
            "agent", "--bootstrap-servers", bootstrap, "--bill", str(bill), "--dir", str(tmp_path / "a"), "--port", "0"
        )
    assert_one_clear_message(result, "bill.csv", "BilledCost", "lots", exits=(2,))


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        return [message.value() or b"" for message in consumer.consume(count, timeout=30)]
    finally:
        consumer.close()


def test_a_broker_killed_with_its_wal_full_of_news_starts_again_with_all_of_it(tmp_path: Path) -> None:
    directory, port = tmp_path / "cluster", free_port()
    with one_broker(directory, port) as (_, ready):
        bootstrap = str(ready["bootstrap"])
        produce(bootstrap, "kept", b"one", b"two")
        brokers = ready["brokers"]
        assert isinstance(brokers, list)
        os.kill(brokers[0]["pid"], signal.SIGKILL)
    with one_broker(directory, port):
        assert consume(bootstrap, "kept", 2) == [b"one", b"two"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux's unshare for a small tmpfs")
def test_a_full_disk_stops_the_start_with_the_missing_bytes_named(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=4m tmpfs {small} && exec "$@"'
    prefix = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    result = run(
        "up", "--brokers", "1", "--dir", str(small / "c"), "--port", str(free_port()), "--no-agent", prefix=prefix
    )
    assert_one_clear_message(result, "No space left", str(small))


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux's unshare for a small tmpfs")
def test_a_disk_that_fills_up_slows_producers_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    port = free_port()
    script = f'mount -t tmpfs -o size=32m tmpfs {small} && exec "$@"'
    command = [
        *("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", *CLI, "broker", "--id", "1"),
        *("--dir", str(small), "--wal-size", str(16 << 20), "--upload-interval", "1", "--no-bill"),
        *("--listeners", f"PLAINTEXT://127.0.0.1:{port}", "--http", "127.0.0.1:0"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as broker:
        try:
            assert broker.stdout is not None
            ready = broker.stdout.readline()
            assert ready, broker.communicate(timeout=30)[1]
            acknowledged = fill(f"127.0.0.1:{port}", "filling")
            assert broker.poll() is None
            assert 1 <= len(acknowledged) < RECORDS
            assert consume(f"127.0.0.1:{port}", "filling", len(acknowledged)) == acknowledged
        finally:
            broker.send_signal(signal.SIGTERM)
            narration = broker.communicate(timeout=30)[1]
    assert "No space left" in narration
    assert "Traceback" not in narration


RECORDS = 400


def fill(bootstrap: str, topic: str) -> list[bytes]:
    """Writes 100 KB records for 10 s at most; those that were acknowledged, in order."""
    acknowledged: list[bytes] = []

    def delivered(error: object, message: Message) -> None:
        if error is None:
            acknowledged.append(message.value() or b"")

    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True,
                         "message.timeout.ms": 8000, "linger.ms": 0, "batch.num.messages": 1})  # fmt: skip
    for number in range(RECORDS):
        producer.produce(topic, number.to_bytes(4, "big") * 25_000, partition=0, on_delivery=delivered)
        producer.poll(0.01)
    producer.flush(30)
    return acknowledged
