"""Who is let in nowhere is told why, and at once: a wrong password, and a certificate that nobody vouches for."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from agent.collect.admin import ClusterAdmin
from agent.collect.client_mends import mend
from agent.collect.errors import ClusterUnreachable, NotAllowed
from agent.collect.link import NetClient
from tests.faults.brokers import SMALL
from tests.interop import tls

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "users").write_text("SCRAM-SHA-512=[name=admin,password=right]\n")
    arguments = ["--dir", str(tmp_path / "b"), "--listeners", "SASL_PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0"]
    arguments += ["--scram-credentials", str(tmp_path / "users"), *SMALL]
    broker = subprocess.Popen(
        [sys.executable, "-m", "broker.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert broker.stdout is not None
    yield str(json.loads(broker.stdout.readline())["kafka"])
    broker.send_signal(signal.SIGTERM)
    broker.wait(60)


def test_a_wrong_password_is_called_that(guarded: str, tmp_path: Path) -> None:
    properties = tmp_path / "client.properties"
    properties.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n"
        f'sasl.jaas.config={SCRAM} required username="admin" password="wrong";\n'
    )
    with pytest.raises(NotAllowed, match=r"refused the login: .*check sasl\.mechanism and sasl\.jaas\.config"):
        ClusterAdmin(guarded, properties).topology()


def test_a_certificate_that_is_not_trusted_is_called_that(tmp_path: Path) -> None:
    tls.write(tmp_path, hosts=["127.0.0.1"], clients=[])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "broker.pem")
    properties = tmp_path / "client.properties"
    properties.write_text("security.protocol=SSL\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server, context), daemon=True).start()
        with pytest.raises(ClusterUnreachable, match=r"certificate that is not trusted: .*ssl\.truststore\.location"):
            ClusterAdmin(f"127.0.0.1:{server.getsockname()[1]}", properties).topology()


def test_an_answer_that_comes_with_the_end_of_its_connection_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr("kafka.net.manager.create_connection", _made(ours))
    client = NetClient(bootstrap_servers="127.0.0.1:1")
    mend(client._manager)
    (node,) = client._manager.cluster.bootstrap_brokers()
    transport = client._manager.run(client._manager._build_transport, node)
    theirs.sendall(b"why")
    theirs.close()
    assert transport._sock_recv() == (b"why", None)
    data, error = transport._sock_recv()
    assert data == b"" and "disconnected" in str(error)
    ours.close()
    client.close()


def _made(end: socket.socket) -> Callable[..., Awaitable[socket.socket]]:
    end.setblocking(False)

    async def made(*_: object, **__: object) -> socket.socket:
        return end

    return made


def _greet(server: socket.socket, context: ssl.SSLContext) -> None:
    """Shakes hands with whoever comes, until the server is closed."""
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        with peer:
            try:
                context.wrap_socket(peer, server_side=True).close()
            except OSError:
                continue
