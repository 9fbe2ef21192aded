"""`up`, for real: one line when ready, no child outlives it, and the same directory starts again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from agent.cli.app import run
from agent.cli.cluster import _up as up
from agent.cli.complaint import Complaint
from tests.broker.security.certificates import Authority

FIELDS = {"id", "pid", "kafka", "http", "zone", "command"}


@contextlib.contextmanager
def _up(directory, *flags):
    command = [
        sys.executable,
        "-m",
        "agent.cli",
        "up",
        "--brokers",
        "1",
        "--dir",
        str(directory),
        "--port",
        "0",
        *flags,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, json.loads(process.stdout.readline() or process.stderr.read())
        finally:
            process.terminate()
            process.wait(60)


def _is_gone(pid, patience_s=30.0):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_the_ready_line_has_its_fields_and_sigterm_stops_every_child(tmp_path):
    with _up(tmp_path, "--agent-port", "0") as (process, ready):
        assert set(ready) == {"bootstrap", "agent", "brokers"}
        (broker,) = ready["brokers"]
        assert set(broker) == FIELDS
        assert ready["bootstrap"] == broker["kafka"]
        assert ready["agent"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout.read() == ""
    assert _is_gone(broker["pid"])


def test_children_do_not_outlive_a_killed_parent_and_the_directory_starts_again(tmp_path):
    with _up(tmp_path, "--no-agent") as (process, ready):
        process.kill()
        assert _is_gone(ready["brokers"][0]["pid"])
    with _up(tmp_path, "--no-agent") as (_, again):
        assert again["brokers"][0]["id"] == 0


def test_a_dead_broker_stays_dead_and_its_command_is_said(tmp_path):
    with _up(tmp_path, "--no-agent") as (process, ready):
        os.kill(ready["brokers"][0]["pid"], signal.SIGKILL)
        lines = []
        while not lines or "stays dead" not in lines[-1]:
            lines.append(process.stderr.readline())
        assert "was killed by SIGKILL" in "".join(lines)
        assert "-m agent.cli broker --id 0" in lines[-1]


def test_a_second_up_on_the_same_directory_is_refused(tmp_path):
    with _up(tmp_path, "--no-agent") as (process, _):
        flags = ["up", "--brokers", "1", "--dir", str(tmp_path), "--port", "0", "--no-agent"]
        told = subprocess.run([sys.executable, "-m", "agent.cli", *flags], capture_output=True, text=True, timeout=120)
        assert told.returncode == 2
        assert f"in use by pid {process.pid}" in told.stderr


@pytest.mark.parametrize(
    ("flag", "url", "said"),
    [
        ("--wal", "objects://bucket", "--wal objects://bucket: write objects:// alone"),
        ("--wal", "file:///w?fence=lease", "write file:///directory or file:///directory?fence=verify"),
        ("--metadata", "mysql://u:secret@h/d", "--metadata mysql://u:***@h/d: write sqlite://... or postgresql://..."),
    ],
)
def test_a_store_that_brokers_do_not_know_is_refused_in_their_words(tmp_path, capfd, flag, url, said):
    assert run(["up", "--brokers", "1", "--dir", str(tmp_path), "--port", "0", "--no-agent", flag, url]) == 2
    told = capfd.readouterr().err
    assert said in told.splitlines()[-1]
    assert "secret" not in told
    assert "Traceback" not in told


def test_brokers_share_an_object_wal_and_the_metadata_they_were_given(tmp_path):
    stores = ["--wal", "objects://", "--metadata", f"sqlite://{tmp_path}/elsewhere.db", "--brokers", "2"]
    with _up(tmp_path, "--no-agent", *stores) as (_, ready):
        assert [broker["id"] for broker in ready["brokers"]] == [0, 1]
        assert (tmp_path / "elsewhere.db").exists()
        assert not (tmp_path / "wal").exists()


def test_a_guarded_cluster_lets_its_first_user_in_and_nobody_else(tmp_path):
    authority = Authority(tmp_path)
    (tmp_path / "users").write_text("SCRAM-SHA-512=[name=admin,password=admin-secret]\n")
    guards = ["--security", "SASL_SSL", "--scram-credentials", str(tmp_path / "users")]
    guards += ["--broker-config", f"ssl.keystore.location={authority.issue('broker', 'broker.pem')}"]
    with _up(tmp_path, "--no-agent", *guards) as (_, ready):
        come_in = {
            "bootstrap.servers": ready["bootstrap"],
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(authority.path),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "admin",
        }
        admin = AdminClient(come_in | {"sasl.password": "admin-secret"})
        assert list(admin.list_topics(timeout=30).brokers) == [0]
        with pytest.raises(KafkaException):
            AdminClient(come_in | {"sasl.password": "wrong"}).list_topics(timeout=1)


@pytest.mark.parametrize(
    ("flags", "said"),
    [({"security": "TLS"}, "--security TLS"), ({"security": "SASL_SSL"}, "the agent has to come in too")],
)
def test_a_guarded_cluster_that_could_not_be_watched_is_refused_before_it_starts(flags, said):
    with pytest.raises(Complaint, match=said):
        up(**flags)
