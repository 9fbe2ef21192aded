"""Three brokers in three zones, as processes of their own on one directory; one door is plain, two are closed."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.broker.security.certificates import Authority
from tests.clients.cells import Ground
from tests.clients.records import PARTITIONS
from tests.clients.tokens import AUDIENCE, ISSUER, Issuer, issuer
from tests.faults.brokers import SMALL
from tests.ports import free_ports

COUNT = 3
USER, PASSWORD = "alice", "alice-secret"
_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_DOORS = ("PLAINTEXT", "SASL_SSL", "SSL")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that runs, and what clients need to come in."""

    directory: Path
    addresses: dict[str, str]
    """Bootstrap servers by the listener's name."""
    http: tuple[str, ...]
    authority: Path
    certificate: Path
    issuer: Issuer
    pids: tuple[int, ...] = ()
    """Of the brokers' processes, by broker."""

    def ground(self, name: str, records: int, timeout_s: float) -> Ground:
        """A place for one cell; `name` is given to one cell only."""
        scratch = self.directory / name
        scratch.mkdir()
        return Ground(
            bootstrap=self.addresses["PLAINTEXT"],
            secure=self.addresses["SASL_SSL"],
            mutual=self.addresses["SSL"],
            ca_file=self.authority,
            certificate=self.certificate,
            user=USER,
            password=PASSWORD,
            token_file=self.issuer.token,
            token_url=self.issuer.url,
            http=self.http,
            python=sys.executable,
            name=name,
            directory=scratch,
            records=records,
            timeout_s=timeout_s,
        )


@contextmanager
def brokers(directory: Path, more: Mapping[str, str] | None = None, metadata: str | None = None) -> Iterator[Cluster]:
    """Gives the running cluster; stops every broker at the end. `more`: broker configs beside the usual ones;
    `metadata`: the address of its store, where it is none in the directory.
    """
    authority = Authority(directory)
    certificate = authority.issue("alice", "alice.pem")
    users = directory / "users"
    users.write_text("".join(f"{m}=[name={USER},password={PASSWORD}]\n" for m in ("SCRAM-SHA-256", "SCRAM-SHA-512")))
    ports = free_ports(COUNT * len(_DOORS))
    running: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        tokens = stack.enter_context(issuer(directory, USER))
        stack.callback(_stop, running)
        flags = ["--scram-credentials", str(users), *_configs(authority, tokens, more or {})]
        flags += [] if metadata is None else ["--metadata", metadata]
        for broker_id in range(COUNT):
            mine = ports[broker_id * len(_DOORS) :][: len(_DOORS)]
            listeners = ",".join(f"{door}://127.0.0.1:{port}" for door, port in zip(_DOORS, mine, strict=True))
            running.append(_start(directory, broker_id, ["--listeners", listeners, *flags]))
        told = [_ready(process, directory, broker_id) for broker_id, process in enumerate(running)]
        addresses = {
            door: ",".join(f"127.0.0.1:{port}" for port in ports[number :: len(_DOORS)])
            for number, door in enumerate(_DOORS)
        }
        yield Cluster(
            directory=directory,
            addresses=addresses,
            http=tuple(each["http"].removeprefix("http://") for each in told),
            authority=authority.path,
            certificate=certificate,
            issuer=tokens,
            pids=tuple(process.pid for process in running),
        )


def _configs(authority: Authority, tokens: Issuer, more: Mapping[str, str]) -> list[str]:
    configs = {
        "num.partitions": str(PARTITIONS),
        "group.initial.rebalance.delay.ms": "0",
        "group.consumer.heartbeat.interval.ms": "1000",
        "ssl.keystore.location": str(authority.issue("broker", "broker.pem")),
        "ssl.truststore.location": str(authority.path),
        "ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "sasl.oauthbearer.jwks.endpoint.url": f"file://{tokens.jwks}",
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
        **more,
    }
    return [word for name, value in configs.items() for word in ("--config", f"{name}={value}")]


def _start(directory: Path, broker_id: int, flags: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "broker.main", "--id", str(broker_id), "--dir", str(directory), *SMALL]
    command += ["--zone", f"zone-{broker_id}", "--http", "127.0.0.1:0", "--exit-with-parent", *flags]
    with (directory / f"broker-{broker_id}.log").open("w") as narration:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=narration, text=True)


def _ready(process: subprocess.Popen[str], directory: Path, broker_id: int) -> dict[str, str]:
    assert process.stdout is not None
    deadline = time.monotonic() + _READY_SECONDS
    readable, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
    line = process.stdout.readline() if readable else ""
    if not line:
        told = (directory / f"broker-{broker_id}.log").read_text()[-2000:]
        raise RuntimeError(f"broker {broker_id} did not get ready in {_READY_SECONDS:.0f} s: {told}")
    ready: dict[str, str] = json.loads(line)
    return ready


def _stop(running: list[subprocess.Popen[str]]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
