"""The wire to a cluster: one kafka-python admin client, its life, its limits and its errors in our words.

Why not the client's own methods everywhere: they raise on the first partition or broker that fails, cache coordinators
that have died, and ask one broker after another. Here requests to several brokers are under way together, each fails
alone, and a client that has lost its cluster is thrown away and made again.

Calls per second are capped (`calls_per_s`) and counted by API name, because the agent is a guest on the cluster.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import kafka
import kafka.errors as kafka_errors
from kafka.future import Future
from kafka.net.compat import KafkaNetClient

from agent.collect.client_mends import UNTRUSTED, mend
from agent.collect.errors import ClusterUnreachable, CollectError, NotAllowed, NotOffered
from agent.collect.properties import AdminOptions
from agent.model.clock import Clock

CLIENT_ID = "streampilot-agent"
PROBE_SECONDS = 1.5
BOOTSTRAP_MS = {"PLAINTEXT": 3_000}
SECURED_BOOTSTRAP_MS = 10_000
"""A TLS handshake and a SCRAM exchange with each broker that is tried, on machines that are busy."""
SILENCE_SECONDS = 4.0
"""A broker that gave no answer is not asked again for so long."""
FAILURES_BEFORE_RENEWAL = 2
"""After so many calls in a row that reached nobody the client bootstraps anew."""

Answer = TypeVar("Answer")

# kafka-python has no annotations.
AdminClient: Any = kafka.KafkaAdminClient
NetClient: Any = KafkaNetClient
FailedFuture: Any = Future

# The client narrates every reconnect at ERROR; what matters comes back as an exception and is told once by the caller.
logging.getLogger("kafka").addHandler(logging.NullHandler())
logging.getLogger("kafka").propagate = False


class Link:
    """A connection to one cluster, made on first use. Thread-safe; calls block at most `timeout_s`."""

    def __init__(
        self,
        bootstrap: str,
        options: AdminOptions,
        *,
        clock: Clock,
        timeout_s: float = 4.0,
        calls_per_s: float = 100.0,
    ) -> None:
        self.bootstrap = bootstrap
        self.calls: Counter[str] = Counter()
        self._options = options
        self._clock = clock
        self._timeout_ms = options.request_timeout_ms or int(timeout_s * 1000)
        self._gap_s = 1.0 / calls_per_s
        self._next_call = 0.0
        self._lock = threading.Lock()
        self._client: Any = None
        self._failures = 0
        self._silent_until: dict[int, float] = {}

    def send_all(self, requests: Sequence[tuple[int | None, Any]]) -> list[Any]:
        """Sends requests to their brokers (None: any) at once; each answer is a response or a CollectError."""
        if not requests:
            return []
        client = self._connected()
        for _, request in requests:
            self._count(type(request).__name__.removesuffix("Request"))
        manager = client._manager
        silent = self._silent()

        async def together() -> list[Any]:
            futures = [_started(manager, request, node, node in silent) for node, request in requests]
            answers: list[Any] = []
            for future in futures:
                try:
                    answers.append(await manager.wait_for(future, self._timeout_ms))
                except Exception as error:
                    answers.append(in_our_words(error, self.bootstrap))
            return answers

        answers = list(manager.run(together))
        for (node, _), answer in zip(requests, answers, strict=True):
            if node is not None and node not in silent and isinstance(answer, ClusterUnreachable):
                self._silent_until[node] = self._clock.monotonic() + SILENCE_SECONDS
        self._judge(answers)
        return answers

    def send(self, request: Any, node: int | None = None) -> Any:
        """One request; raises a CollectError."""
        (answer,) = self.send_all([(node, request)])
        if isinstance(answer, CollectError):
            raise answer
        return answer

    def call(self, name: str, use: Callable[[Any], Answer]) -> Answer:
        """Runs one of the client's own methods, counted as `name`; raises a CollectError."""
        client = self._connected()
        self._count(name)
        client._controller_id = None
        try:
            answer = use(client)
        except Exception as error:
            translated = in_our_words(error, self.bootstrap)
            self._judge([translated])
            raise translated from error
        self._judge([answer])
        return answer

    def close(self) -> None:
        """Drops the connection; the next call makes a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _silent(self) -> set[int]:
        """Brokers that did not answer a moment ago: one that hangs costs a round one timeout, not one per request."""
        now = self._clock.monotonic()
        self._silent_until = {node: until for node, until in self._silent_until.items() if until > now}
        return set(self._silent_until)

    def _judge(self, answers: Sequence[Any]) -> None:
        if all(isinstance(answer, ClusterUnreachable) for answer in answers):
            self._failures += 1
            if self._failures >= FAILURES_BEFORE_RENEWAL:
                self._failures = 0
                self.close()
        else:
            self._failures = 0

    def _count(self, name: str) -> None:
        with self._lock:
            self.calls[name] += 1
            now = self._clock.monotonic()
            wait = self._next_call - now
            self._next_call = max(now, self._next_call) + self._gap_s
        if wait > 1.0:
            threading.Event().wait(min(wait - 1.0, 5.0))

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                probe(self.bootstrap)
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        made: list[Any] = []

        def remembered(**configs: Any) -> Any:
            made.append(NetClient(**configs))
            mend(made[0]._manager)
            return made[0]

        try:
            return AdminClient(
                bootstrap_servers=self.bootstrap.split(","),
                client_id=self._options.client_id or CLIENT_ID,
                bootstrap_timeout_ms=BOOTSTRAP_MS.get(self._options.security_protocol, SECURED_BOOTSTRAP_MS),
                request_timeout_ms=self._timeout_ms,
                reconnect_backoff_max_ms=2000,
                metadata_max_age_ms=10_000,
                kafka_client=remembered,
                **self._options.arguments,
            )
        except Exception as error:
            for half_made in made:
                half_made.close()
                half_made._manager._net.stop(1000)
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> CollectError:
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError | kafka_errors.AuthorizationError):
            return NotAllowed(
                f"{self.bootstrap} refused the login: {error}; check sasl.mechanism and sasl.jaas.config "
                "in the --command-config file"
            )
        if UNTRUSTED in str(error):
            return ClusterUnreachable(
                f"{self.bootstrap} shows a certificate that is not trusted: {error}; check ssl.truststore.location in "
                "the --command-config file, and the certificate's names and dates"
            )
        return ClusterUnreachable(
            f"{self.bootstrap} accepts connections but does not answer as a Kafka broker with security.protocol "
            f"{self._options.security_protocol}; check the port and the --command-config file"
        )


def _started(manager: Any, request: Any, node: int | None, silent: bool) -> Any:
    """The future of a request; what fails before it leaves is put into the future."""
    if silent:
        return FailedFuture().failure(kafka_errors.NodeNotReadyError(node))
    try:
        return manager.send(request, node_id=node)
    except Exception as error:
        manager.cluster.request_update()
        return FailedFuture().failure(error)


def probe(bootstrap: str) -> None:
    """Opens and closes a TCP connection to the first server that answers; ClusterUnreachable names them all."""
    said: list[str] = []
    for server in bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            raise ClusterUnreachable(f"bootstrap server {server!r} is not host:port")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()
            return
        except (OSError, OverflowError) as error:
            said.append(f"{server.strip()} ({error})")
    raise ClusterUnreachable(f"no Kafka broker at {', '.join(said)}; is the cluster running, and the address right?")


def in_our_words(error: Exception, bootstrap: str) -> CollectError:
    """A client library's error as one of ours."""
    if isinstance(error, CollectError):
        return error
    name = type(error).__name__.removesuffix("Error")
    if isinstance(error, kafka_errors.UnsupportedVersionError):
        return NotOffered(f"{bootstrap} does not offer this: {error}")
    if isinstance(error, kafka_errors.AuthorizationError | kafka_errors.SaslAuthenticationFailedError):
        return NotAllowed(f"{bootstrap} does not allow this: {name}")
    unreachable = (
        kafka_errors.KafkaConnectionError,
        kafka_errors.KafkaTimeoutError,
        kafka_errors.NodeNotReadyError,
        kafka_errors.UnknownBrokerIdError,
        kafka_errors.RequestTimedOutError,
        OSError,
        RuntimeError,
    )
    if isinstance(error, unreachable):
        return ClusterUnreachable(f"no answer from {bootstrap}: {name} {error}".strip())
    return CollectError(f"{bootstrap} answered with an error: {name} {error}".strip())
