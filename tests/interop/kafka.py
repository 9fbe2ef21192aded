"""A real Apache Kafka: one KRaft node from Maven's jars, on loopback, to measure beside and to look at."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
VERSION = os.environ.get("KAFKA_VERSION", "4.4.0")
"""Of the broker, the clients and the tools: any 4.x that Maven's registry has."""
LIBS = ROOT / ".work/kafka" / VERSION
CLUSTER_ID = "c3RyZWFtcGlsb3Rpbm9wMQ"
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def install() -> None:
    """Copies the jars from Maven's registry, once."""
    if not all(any(LIBS.glob(f"{name}-*.jar")) for name in ("kafka_2.13", "jmx_prometheus_javaagent")):
        subprocess.run(
            ["mvn", "-q", "-B", "-f", str(ROOT / "tests/interop/pom.xml"), COPY_JARS, f"-DoutputDirectory={LIBS}",
             f"-Dkafka.version={VERSION}"],
            check=True, timeout=600, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def java(main_class: str, *arguments: str, heap: str = "512m") -> list[str]:
    return [
        "java",
        f"-Xmx{heap}",
        "-XX:+UseG1GC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        f"{LIBS}/*",
        main_class,
        *arguments,
    ]


@contextmanager
def running(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """Yields (bootstrap, pid) of a broker that answers; stops it at the end."""
    install()
    port, controller = free_port(), free_port()
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
    properties = {
        "process.roles": "broker,controller", "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "listeners": listeners, "advertised.listeners": listeners,
        "controller.listener.names": "CONTROLLER", "log.dirs": str(directory / "data"),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1", **(settings or {}),
    }  # fmt: skip
    file = directory / "server.properties"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    subprocess.run(
        java("kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c", str(file)),
        check=True, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with (
        (directory / "kafka.log").open("wb") as log,
        ended(subprocess.Popen(java("kafka.Kafka", str(file), heap="1g"), stdout=log, stderr=log)) as process,
    ):
        await_port(port, process, directory / "kafka.log")
        yield f"127.0.0.1:{port}", process.pid


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which does not outlive the block."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def await_port(
    port: int, process: subprocess.Popen[bytes], log: Path, *, host: str = "127.0.0.1", within_s: float = 60
) -> None:
    """Returns once the process listens; raises with its log's name when it ends or takes too long."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Apache Kafka exited with {process.returncode}: see {log}")
        with closing(socket.socket()) as probe:
            probe.settimeout(1)
            if probe.connect_ex((host, port)) == 0:
                time.sleep(1)
                return
        time.sleep(0.3)
    raise TimeoutError(f"Apache Kafka did not listen on {port} within {within_s} s: see {log}")
