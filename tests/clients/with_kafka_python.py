"""kafka-python 3, and that of 2020."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.clients.admin import administer
from tests.clients.cells import COLUMNS, Cell, Ground
from tests.clients.driver import ALONE, CODECS, HEARTBEAT_MS, LARGE_LIMIT, Reading
from tests.clients.kafka_python_admin import NewAdmin, OldAdmin
from tests.clients.records import Got, Record, got_of
from tests.clients.usual import cells

NAME = "kafka-python"


def version() -> str:
    return metadata.version("kafka-python")


def available() -> str:
    return ""


_NEW = int(version().split(".")[0]) >= 3
CANNOT = {"kip848": "it speaks the classic protocol only"}
if not _NEW:
    CANNOT |= {
        "idempotence": "the idempotent producer came with 2.1",
        "transactions": "they came with 2.1",
        "near": "client_rack came with 3.0",
    }
else:
    CANNOT["near"] = "3.0 forgets the near broker with each of its answers, and asks the leader again"
SETTINGS = {
    "group": f"heartbeat_interval_ms={HEARTBEAT_MS}, only so that members learn of each other soon",
    "large": f"max_request_size={LARGE_LIMIT} (producer); max.message.bytes={LARGE_LIMIT} on the topic",
    "codecs": "the packages lz4, python-snappy and zstandard",
    "oauthbearer": "sasl_oauth_token_provider",
}
if not _NEW:
    SETTINGS["admin"] = "it cannot delete records"
    SETTINGS["large"] += (
        "; max_in_flight_requests_per_connection=1, for it forgets a request that is queued behind one that the socket"
        " took a part of"
    )


class _Token:
    """What both versions ask a token provider for."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        return self._token

    def extensions(self) -> dict[str, str]:
        return {}


def _provider(token: str) -> Any:
    """One that is of the library's own kind."""
    if _NEW:
        from kafka.net.sasl.oauth import AbstractTokenProvider
    else:
        from kafka.oauth.abstract import AbstractTokenProvider
    return type("Provider", (_Token, AbstractTokenProvider), {})(token)


def settings(ground: Ground, door: str = "") -> dict[str, Any]:
    """What every client of this library is given."""
    common: dict[str, Any] = {"client_id": ground.name}
    if not door:
        return common | {"bootstrap_servers": ground.bootstrap.split(",")}
    common["ssl_cafile"] = str(ground.ca_file)
    if door == "mTLS":
        own = {"ssl_certfile": str(ground.certificate), "ssl_keyfile": str(ground.certificate)}
        return common | own | {"bootstrap_servers": ground.mutual.split(","), "security_protocol": "SSL"}
    common |= {"bootstrap_servers": ground.secure.split(","), "security_protocol": "SASL_SSL", "sasl_mechanism": door}
    if door == "OAUTHBEARER":
        return common | {"sasl_oauth_token_provider": _provider(ground.token_file.read_text())}
    return common | {"sasl_plain_username": ground.user, "sasl_plain_password": ground.password}


class _Writer:
    def __init__(self, ground: Ground, given: dict[str, Any]) -> None:
        self._timeout_s = ground.timeout_s
        self._producer = KafkaProducer(acks="all", linger_ms=5, **given)

    def send(self, topic: str, sent: Iterable[Record]) -> None:
        futures = [
            self._producer.send(topic, key=each.key, value=each.value, headers=list(each.headers)) for each in sent
        ]
        self._producer.flush(timeout=self._timeout_s)
        for future in futures:
            future.get(timeout=self._timeout_s)

    def close(self) -> None:
        self._producer.close(timeout=self._timeout_s)

    def begin(self) -> None:
        self._producer.begin_transaction()

    def commit(self) -> None:
        self._producer.commit_transaction()

    def abort(self) -> None:
        self._producer.abort_transaction()

    def send_offsets(self, reader: Any) -> None:
        self._producer.send_offsets_to_transaction(reader.positions(), reader.consumer.group_metadata())


class _Reader:
    def __init__(self, topic: str, group: str, given: dict[str, Any]) -> None:
        fixed = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        self._read: dict[Any, int] = {}
        self.consumer = KafkaConsumer(*([topic] if group else []), group_id=group or None, **fixed, **given)
        if not group:
            partitions = self.consumer.partitions_for_topic(topic)
            self.consumer.assign([TopicPartition(topic, number) for number in partitions])

    def poll(self, seconds: float) -> list[Got]:
        got = []
        for partition, messages in self.consumer.poll(timeout_ms=int(1000 * seconds)).items():
            self._read[partition] = messages[-1].offset + 1
            got += [got_of(message) for message in messages]
        return got

    def positions(self) -> dict[Any, Any]:
        """Where it stands in what it read, as the producer wants it."""
        from kafka import OffsetAndMetadata

        return {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in self._read.items()}

    def assigned(self) -> set[int]:
        return {each.partition for each in self.consumer.assignment()}

    def commit(self) -> None:
        self.consumer.commit()

    def close(self) -> None:
        self.consumer.close()


class _Driver:
    def writer(
        self, ground: Ground, *, door: str = "", codec: str = "none", idempotent: bool = False, large: bool = False
    ) -> _Writer:
        given = settings(ground, door) | {"compression_type": None if codec == "none" else codec}
        if _NEW:
            given["enable_idempotence"] = idempotent
        if large:
            given |= {"max_request_size": LARGE_LIMIT} | ({} if _NEW else {"max_in_flight_requests_per_connection": 1})
        return _Writer(ground, given)

    def transactional(self, ground: Ground, transactional_id: str) -> _Writer:
        writer = _Writer(ground, settings(ground) | {"transactional_id": transactional_id})
        writer._producer.init_transactions()
        return writer

    def reader(self, ground: Ground, topic: str, how: Reading = ALONE) -> _Reader:
        given = settings(ground, how.door) | {"heartbeat_interval_ms": HEARTBEAT_MS}
        if how.committed_only:
            given["isolation_level"] = "read_committed"
        return _Reader(topic, how.group, given | ({"client_rack": how.rack} if how.rack else {}))


DRIVER = _Driver()
CELLS: dict[str, Cell] = {
    **cells(DRIVER, (column for column in COLUMNS if column != "admin" and column not in CANNOT), CODECS),
    "admin": lambda ground: administer(DRIVER, (NewAdmin if _NEW else OldAdmin)(settings(ground)), ground),
}
