"""A real Apache Kafka of three brokers, each with the JMX exporter, with SCRAM, TLS and mTLS listeners and ACLs.

Each broker has a loopback address of its own (127.0.0.11 and on), because "the target's host is the broker's host" is
one of the ways an agent knows whose metrics it reads, and each has another of the usual rule files.

    PLAIN   PLAINTEXT   between the brokers, and for load
    SASL    SASL_SSL    SCRAM-SHA-512, SCRAM-SHA-256 and PLAIN
    MTLS    SSL         a client certificate is required

Users: `admin` may do everything, `describer` only Describe, with the password `NAME-secret`; the certificate's name
is `CN=describer`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.interop import tls
from tests.interop.kafka import CLUSTER_ID, LIBS, ROOT, await_port, ended, install, java
from tests.ports import free_port

RULES = ROOT / "tests/data/jmx_exporter"
RULE_FILES = ("example_kafka-2_0_0.yml", "example_kafka-kraft-3_0_0.yml", "strimzi_kafka-metrics.yaml")
BROKERS = (1, 2, 3)
HEAP = "512m"


@dataclass(frozen=True, kw_only=True)
class Trio:
    """Where a running cluster is reached."""

    directory: Path
    hosts: Mapping[int, str]
    ports: Mapping[str, int]
    """Listener to port, the same on all three hosts; `METRICS` is the exporter's."""
    pids: Mapping[int, int]

    def bootstrap(self, listener: str = "PLAIN") -> str:
        return ",".join(f"{host}:{self.ports[listener]}" for host in self.hosts.values())

    def metrics(self, broker: int) -> str:
        return f"http://{self.hosts[broker]}:{self.ports['METRICS']}/metrics"

    def properties(self, user: str, *, listener: str = "SASL", mechanism: str = "SCRAM-SHA-512") -> Path:
        """A client.properties for the listener, as an operator would have it."""
        file = self.directory / f"{user}-{listener}-{mechanism}.properties"
        lines = [f"ssl.truststore.location={self.directory / 'ca.pem'}", "ssl.truststore.type=PEM"]
        if listener == "MTLS":
            lines += ["security.protocol=SSL", f"ssl.keystore.location={self.directory / f'{user}.pem'}",
                      "ssl.keystore.type=PEM"]  # fmt: skip
        else:
            module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
            lines += ["security.protocol=SASL_SSL", f"sasl.mechanism={mechanism}",
                      f"sasl.jaas.config=org.apache.kafka.common.security.{module} required "
                      f'username="{user}" password="{user}-secret";']  # fmt: skip
        file.write_text("\n".join(lines) + "\n")
        return file

    def allow_to_describe(self, principal: str) -> None:
        """The least of rights: Describe, and nothing else."""
        for resource in (["--cluster"], ["--topic", "*"], ["--group", "*"]):
            self.tool("org.apache.kafka.tools.AclCommand", "--add",
                      "--allow-principal", principal, "--operation", "Describe", *resource)  # fmt: skip

    def kill(self, broker: int) -> None:
        """SIGKILL, as a machine that is gone."""
        os.kill(self.pids[broker], signal.SIGKILL)

    @contextmanager
    def again(self, broker: int) -> Iterator[None]:
        """A broker that was killed runs again, on its old directory, until the block ends."""
        with (self.directory / f"{broker}-again.log").open("wb") as log:
            command = _command(self.directory, broker, f"{self.hosts[broker]}:{self.ports['METRICS']}")
            with ended(subprocess.Popen(command, stdout=log, stderr=log)) as process:
                file = self.directory / f"{broker}-again.log"
                await_port(self.ports["PLAIN"], process, file, host=self.hosts[broker], within_s=400)
                yield

    def tool(self, main_class: str, *arguments: str) -> str:
        run = subprocess.run(
            java(main_class, "--bootstrap-server", self.bootstrap(), *arguments, heap="128m"),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if run.returncode:
            raise RuntimeError(f"{main_class} {' '.join(arguments)}: {run.stdout[-800:]} {run.stderr[-800:]}")
        return run.stdout


@contextmanager
def running(
    directory: Path, settings: Mapping[str, str] | None = None, *, rule_files: tuple[str, ...] = RULE_FILES
) -> Iterator[Trio]:
    """Yields three brokers that answer; stops them at the end. `rule_files`: one per broker."""
    install()
    directory.mkdir(parents=True, exist_ok=True)
    hosts = {broker: f"127.0.0.{10 + broker}" for broker in BROKERS}
    ports = {name: free_port() for name in ("PLAIN", "SASL", "MTLS", "CONTROLLER", "METRICS")}
    tls.write(directory, hosts=list(hosts.values()), clients=["admin", "describer"])
    _format(directory, hosts, ports, settings or {})
    with ExitStack() as stack:
        processes = {}
        for broker, rules in zip(BROKERS, rule_files, strict=True):
            _write_rules(directory, broker, rules)
            command = _command(directory, broker, f"{hosts[broker]}:{ports['METRICS']}")
            log = stack.enter_context((directory / f"{broker}.log").open("wb"))
            processes[broker] = stack.enter_context(ended(subprocess.Popen(command, stdout=log, stderr=log)))
        for broker, process in processes.items():
            await_port(ports["PLAIN"], process, directory / f"{broker}.log", host=hosts[broker], within_s=400)
            await_port(ports["METRICS"], process, directory / f"{broker}.log", host=hosts[broker], within_s=400)
        pids = {broker: process.pid for broker, process in processes.items()}
        yield Trio(directory=directory, hosts=hosts, ports=ports, pids=pids)


def _command(directory: Path, broker: int, metrics: str) -> list[str]:
    """A broker with the exporter at an address."""
    (jar,) = LIBS.glob("jmx_prometheus_javaagent-*.jar")
    command = java("kafka.Kafka", str(directory / f"{broker}.properties"), heap=HEAP)
    command.insert(1, f"-javaagent:{jar}={metrics}:{directory / f'{broker}-exporter.yml'}")
    return command


def _write_rules(directory: Path, broker: int, rules: str) -> None:
    """The exporter's rules; Strimzi's file holds them inside a ConfigMap."""
    text = (RULES / rules).read_text()
    for document in yaml.safe_load_all(text) if "ConfigMap" in text else ():
        text = next(iter(document["data"].values())) if document["kind"] == "ConfigMap" else text
    (directory / f"{broker}-exporter.yml").write_text(text)


def _format(directory: Path, hosts: Mapping[int, str], ports: Mapping[str, int], settings: Mapping[str, str]) -> None:
    for broker in hosts:
        lines = {**_settings(directory, broker, hosts, ports), **settings}
        file = directory / f"{broker}.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        users = [f"--add-scram={mechanism}=[name={user},password={user}-secret]"
                 for user in ("admin", "describer") for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256")]  # fmt: skip
        quorum = ",".join(f"{n}@{at}:{ports['CONTROLLER']}:{DIRECTORY_IDS[n]}" for n, at in hosts.items())
        subprocess.run(
            java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(file), "-I", quorum, *users),
            check=True, timeout=60, stdout=(directory / "format.log").open("ab"), stderr=subprocess.STDOUT,
        )  # fmt: skip


DIRECTORY_IDS = {1: "JEXY6aqzQY-32P5TStzaFA", 2: "JEXY6aqzQY-32P5TStzbFA", 3: "JEXY6aqzQY-32P5TStzcFA"}


def _settings(directory: Path, broker: int, hosts: Mapping[int, str], ports: Mapping[str, int]) -> dict[str, str]:
    host = hosts[broker]
    clients = ",".join(f"{name}://{host}:{ports[name]}" for name in ("PLAIN", "SASL", "MTLS"))
    jaas = "org.apache.kafka.common.security"
    secrets = " ".join(f'user_{user}="{user}-secret"' for user in ("admin", "describer"))
    return {
        "process.roles": "broker,controller", "node.id": str(broker), "broker.rack": f"zone-{'abc'[broker - 1]}",
        "controller.quorum.bootstrap.servers": ",".join(f"{at}:{ports['CONTROLLER']}" for at in hosts.values()),
        "listeners": f"{clients},CONTROLLER://{host}:{ports['CONTROLLER']}", "advertised.listeners": clients,
        "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAIN",
        "listener.security.protocol.map": "PLAIN:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL,CONTROLLER:PLAINTEXT",
        "log.dirs": str(directory / f"data-{broker}"), "log.index.size.max.bytes": "65536",
        "group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "6",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
        "listener.name.sasl.plain.sasl.jaas.config": f"{jaas}.plain.PlainLoginModule required {secrets};",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": str(directory / "broker.pem"),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": str(directory / "ca.pem"),
        "listener.name.mtls.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
    }  # fmt: skip
