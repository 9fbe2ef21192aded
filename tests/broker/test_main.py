"""A broker as a process: ready in one line, gone in good order, and every mistake in one line."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from broker.flags import parse


class Running:
    """A broker process; its stderr goes to a file, so that nothing blocks."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.errors = directory.with_name(f"{directory.name}.err")
        command = [sys.executable, "-m", "broker.main", "--dir", str(directory), "--wal-size", "16MiB", *flags]
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)

    def ready(self) -> dict:
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        return json.loads(line)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def wait(self) -> int:
        return self.process.wait(60)

    def said(self) -> str:
        return self.errors.read_text()


ANY_PORT = ("--listeners", "PLAINTEXT://127.0.0.1:0")


@pytest.fixture
def broker(tmp_path):
    started = []

    def start(*flags: str, directory: str = "data") -> Running:
        running = Running(tmp_path / directory, *flags)
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(60)
        running.process.stdout.close()


def get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.status, answer.read().decode()


def test_a_broker_says_where_it_is_serves_and_ends_in_good_order(broker, tmp_path):
    running = broker(*ANY_PORT, "--id", "3", "--zone", "z1", "--spot")
    ready = running.ready()
    assert set(ready) == {"id", "pid", "kafka", "http", "zone"}
    assert (ready["id"], ready["pid"], ready["zone"]) == (3, running.process.pid, "z1")
    assert get(f"{ready['http']}/readyz") == (200, "ready\n")
    assert get(f"{ready['http']}/healthz") == (200, "ok\n")
    _, page = get(f"{ready['http']}/metrics")
    assert 'streampilot_broker_info{broker_id="3"' in page
    assert "process_resident_memory_bytes" in page
    host, port = ready["kafka"].split(":")
    socket.create_connection((host, int(port)), timeout=30).close()
    assert running.end() == 0
    assert "Traceback" not in running.said()
    assert list((tmp_path / "data" / "bill").glob("*.parquet"))


def test_a_broker_comes_back_on_its_directory_under_a_new_epoch(broker):
    for _ in range(2):
        running = broker(*ANY_PORT, "--no-bill")
        assert running.ready()["id"] == 0
        assert running.end() == 0


def test_a_killed_broker_comes_back_by_itself(broker):
    running = broker(*ANY_PORT, "--no-bill")
    running.ready()
    running.end(signal.SIGKILL)
    again = broker(*ANY_PORT, "--no-bill")
    assert again.ready()["id"] == 0
    assert again.end() == 0


def one_line(running: Running) -> str:
    """What a broker that could not start said: its last line, and no traceback."""
    said = running.said()
    assert "Traceback" not in said
    assert said.count("\n") == 1, said
    return said


def test_a_port_in_use_is_said(broker):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = broker("--listeners", f"PLAINTEXT://127.0.0.1:{port}")
        assert running.wait() == 1
        assert f"127.0.0.1:{port} is in use" in one_line(running)


def test_a_second_broker_on_the_same_wal_is_refused(broker):
    first = broker(*ANY_PORT, "--no-bill")
    first.ready()
    second = broker(*ANY_PORT, "--no-bill")
    assert second.wait() == 1
    assert f"held by pid {first.process.pid}" in one_line(second)
    assert first.end() == 0


def test_a_directory_that_is_a_file_is_said(broker, tmp_path):
    (tmp_path / "data").write_text("in the way")
    running = broker(*ANY_PORT)
    assert running.wait() == 1
    assert "give a directory you may write" in one_line(running)


def test_a_metadata_server_that_is_away_is_said_without_its_password(broker, tmp_path):
    running = broker(*ANY_PORT, "--metadata", f"postgresql://u:secret@/db?host={tmp_path}")
    assert running.wait() == 1
    line = one_line(running)
    assert f"--metadata postgresql://u:***@/db?host={tmp_path}: " in line
    assert "check the address" in line
    assert "secret" not in line


def test_a_broker_serves_on_postgresql(broker, postgres):
    running = broker(*ANY_PORT, "--no-bill", "--metadata", postgres)
    assert get(f"{running.ready()['http']}/readyz") == (200, "ready\n")
    assert running.end() == 0
    assert "Traceback" not in running.said()


def test_a_metadata_file_that_is_none_is_said(broker, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.db").write_bytes(b"this is no database" * 100)
    running = broker(*ANY_PORT)
    assert running.wait() == 1
    assert "metadata.db" in one_line(running)


def test_a_corrupt_wal_is_refused_and_named(broker, tmp_path):
    running = broker(*ANY_PORT, "--no-bill")
    running.ready()
    assert running.end() == 0
    ring = tmp_path / "data" / "wal" / "0" / "ring"
    with ring.open("r+b") as file:
        file.write(os.urandom(8192))
    again = broker(*ANY_PORT, "--no-bill")
    assert again.wait() == 1
    assert str(ring.parent) in one_line(again)


def test_a_broker_ends_with_its_parent(broker, tmp_path):
    script = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'broker.main', *sys.argv[1:]],"
        " stdout=subprocess.PIPE, stderr=subprocess.DEVNULL); print(p.stdout.readline().decode(), flush=True); input()"
    )
    flags = ["--dir", str(tmp_path / "data"), *ANY_PORT, "--exit-with-parent", "--no-bill"]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ready = json.loads(parent.stdout.readline())
    child = os.pidfd_open(ready["pid"])
    parent.kill()
    parent.communicate()
    import select

    poll = select.poll()
    poll.register(child, select.POLLIN)
    assert poll.poll(60_000), "the broker outlived its parent by 60 s"
    os.close(child)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--id", "-1"], "broker ids start at 0"),
        (["--id", "x"], "--id"),
        (["--objects", "ftp://x"], "write file://... or s3://... or memory://..."),
        (["--wal", "ftp://x"], "--wal ftp://x: write file://..."),
        (["--wal", "file:///d?fence=lease"], "--wal file:///d?fence=lease: write file:///directory or file:///d"),
        (["--metadata", "mysql://x"], "--metadata mysql://x: write sqlite://..."),
        (["--listeners", "127.0.0.1:9092"], "PLAINTEXT://127.0.0.1:9092"),
        (["--listeners", "PLAINTEXT://0.0.0.0:9092"], "--advertised-listeners"),
        (["--advertised-listeners", "OTHER://h:1"], "no listener has that name"),
        (["--http", "nowhere"], "write HOST:PORT"),
        (["--zones", "10.0.0.0/8"], "CIDR=ZONE"),
        (["--zones", "10.0.0.0/99=z"], "10.0.0.0/99"),
        (["--config", "num.partitions"], "KEY=VALUE"),
        (["--config", "num.partitions=many"], "num.partitions"),
        (["--config", "no.such.key=1"], "no.such.key"),
        (["--wal-size", "1MiB"], "at least 16MiB"),
        (["--upload-interval", "0"], "seconds above 0"),
        (["--instance-type", "x9.huge"], "m7g.large"),
        (["--spot-notices", "ibm"], "--spot-notices ibm: write aws, gcp, azure, alibaba"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_mistake_in_a_flag_is_one_line_and_exit_2(flags, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        parse(["--dir", str(tmp_path), *flags])
    shown = capsys.readouterr().err
    assert refused.value.code == 2
    assert said in shown
    assert shown.count("\n") == 1


def test_defaults_follow_from_the_directory(tmp_path):
    config = parse(["--dir", str(tmp_path), "--id", "2", "--config", "num.partitions=3"])
    assert config.objects == f"file://{tmp_path}/objects"
    assert config.wal == f"file://{tmp_path}/wal/2"
    assert config.metadata == f"sqlite://{tmp_path}/metadata.db"
    assert config.configs == {"num.partitions": "3"}
    assert config.static_configs()["listeners"] == "PLAINTEXT://127.0.0.1:9092"
