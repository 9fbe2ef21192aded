"""aiokafka. Its objects live on an event loop, and each of ours has one: what it does in the background goes on while
it polls, or sends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Iterable
from importlib import metadata
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import AbstractTokenProvider

from tests.clients.admin import administer
from tests.clients.aiokafka_admin import AiokafkaAdmin
from tests.clients.cells import COLUMNS, Cell, Ground
from tests.clients.driver import ALONE, CODECS, HEARTBEAT_MS, LARGE_LIMIT, Reading
from tests.clients.records import Got, Record, got_of
from tests.clients.usual import cells

NAME = "aiokafka"
_AT_ONCE = 2000
CANNOT = {"kip848": "it speaks the classic protocol only"}
SETTINGS = {
    "group": f"heartbeat_interval_ms={HEARTBEAT_MS}, only so that members learn of each other soon",
    "large": f"max_request_size={LARGE_LIMIT} (producer); max.message.bytes={LARGE_LIMIT} on the topic",
    "near": "client_rack",
    "oauthbearer": "sasl_oauth_token_provider",
    "scram": "ssl_context",
    "plain": "ssl_context",
    "mtls": "ssl_context",
    "admin": "its admin client cannot delete groups",
}


def version() -> str:
    return metadata.version("aiokafka")


def available() -> str:
    return ""


class _Token(AbstractTokenProvider):
    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token


def settings(ground: Ground, door: str = "") -> dict[str, Any]:
    """What every client of this library is given."""
    common = {"client_id": ground.name}
    if not door:
        return common | {"bootstrap_servers": ground.bootstrap}
    context = ssl.create_default_context(cafile=str(ground.ca_file))
    if door == "mTLS":
        context.load_cert_chain(ground.certificate)
        return common | {"bootstrap_servers": ground.mutual, "security_protocol": "SSL", "ssl_context": context}
    secure = {"bootstrap_servers": ground.secure, "security_protocol": "SASL_SSL", "ssl_context": context}
    if door == "OAUTHBEARER":
        secure["sasl_oauth_token_provider"] = _Token(ground.token_file.read_text())
    else:
        secure |= {"sasl_plain_username": ground.user, "sasl_plain_password": ground.password}
    return common | secure | {"sasl_mechanism": door}


class _OnLoop:
    """Runs coroutines on a loop of its own, one at a time, in the thread that calls."""

    def __init__(self, timeout_s: float) -> None:
        self._loop = asyncio.new_event_loop()
        self._timeout_s = timeout_s

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, self._timeout_s))


class _Writer(_OnLoop):
    def __init__(self, ground: Ground, given: dict[str, Any]) -> None:
        super().__init__(ground.timeout_s)
        self._do(self._start(given))

    async def _start(self, given: dict[str, Any]) -> None:
        self._producer = AIOKafkaProducer(linger_ms=5, **given)
        await self._producer.start()

    def send(self, topic: str, sent: Iterable[Record]) -> None:
        self._do(self._send(topic, list(sent)))

    async def _send(self, topic: str, sent: list[Record]) -> None:
        for first in range(0, len(sent), _AT_ONCE):
            futures = [
                await self._producer.send(topic, key=each.key, value=each.value, headers=list(each.headers))
                for each in sent[first : first + _AT_ONCE]
            ]
            await asyncio.gather(*futures)

    def close(self) -> None:
        self._do(self._producer.stop())
        self._loop.close()

    def begin(self) -> None:
        self._do(self._producer.begin_transaction())

    def commit(self) -> None:
        self._do(self._producer.commit_transaction())

    def abort(self) -> None:
        self._do(self._producer.abort_transaction())

    def send_offsets(self, reader: Any) -> None:
        self._do(self._producer.send_offsets_to_transaction(reader.positions(), reader.group))


class _Reader(_OnLoop):
    def __init__(self, ground: Ground, topic: str, group: str, given: dict[str, Any]) -> None:
        super().__init__(ground.timeout_s)
        self.group = group
        self._read: dict[Any, int] = {}
        self._do(self._start(topic, group, given))

    async def _start(self, topic: str, group: str, given: dict[str, Any]) -> None:
        self._consumer = AIOKafkaConsumer(
            *([topic] if group else []),
            group_id=group or None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **given,
        )
        await self._consumer.start()
        if not group:
            partitions = await self._consumer._client._wait_on_metadata(topic)
            self._consumer.assign([TopicPartition(topic, number) for number in partitions])

    def poll(self, seconds: float) -> list[Got]:
        got = []
        for partition, messages in self._do(self._consumer.getmany(timeout_ms=int(1000 * seconds))).items():
            self._read[partition] = messages[-1].offset + 1
            got += [got_of(message) for message in messages]
        return got

    def positions(self) -> dict[Any, int]:
        """Where it stands in what it read."""
        return self._read

    def assigned(self) -> set[int]:
        return {each.partition for each in self._consumer.assignment()}

    def commit(self) -> None:
        self._do(self._consumer.commit())

    def close(self) -> None:
        self._do(self._consumer.stop())
        self._loop.close()


class _Driver:
    def writer(
        self, ground: Ground, *, door: str = "", codec: str = "none", idempotent: bool = False, large: bool = False
    ) -> _Writer:
        given = settings(ground, door) | {"compression_type": None if codec == "none" else codec, "acks": "all"}
        given["enable_idempotence"] = idempotent
        return _Writer(ground, given | ({"max_request_size": LARGE_LIMIT} if large else {}))

    def transactional(self, ground: Ground, transactional_id: str) -> _Writer:
        return _Writer(ground, settings(ground) | {"transactional_id": transactional_id})

    def reader(self, ground: Ground, topic: str, how: Reading = ALONE) -> _Reader:
        given = settings(ground, how.door) | {"heartbeat_interval_ms": HEARTBEAT_MS}
        given["isolation_level"] = "read_committed" if how.committed_only else "read_uncommitted"
        return _Reader(ground, topic, how.group, given | ({"client_rack": how.rack} if how.rack else {}))


DRIVER = _Driver()
CELLS: dict[str, Cell] = {
    **cells(DRIVER, (column for column in COLUMNS if column != "admin" and column not in CANNOT), CODECS),
    "admin": lambda ground: administer(DRIVER, AiokafkaAdmin(settings(ground)), ground),
}
