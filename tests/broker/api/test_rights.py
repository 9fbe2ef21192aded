"""Who may not, learns nothing: the matrix of refusals, made from what the APIs declare, over every key and version."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kio.serial import entity_writer

from broker.api.registry import Api, all_apis
from broker.clock import SystemClock
from broker.flags import parse
from broker.metadata.acls import create_acls, delete_acls
from broker.metadata.image import Acl
from broker.node import Node
from broker.security.access import ANONYMOUS, ANY_RIGHT, Need, Operation, ResourceType
from broker.security.rules import ALLOW, LITERAL
from broker.wire.codec import shape
from tests.broker.api.asking import create
from tests.broker.api.conftest import Broker, Wire
from tests.broker.api.samples import CLUSTER, GROUP, TOPIC, sample

GUARDED = [api for api in all_apis() if api.needs]
FOR_EVERYBODY = {17, 18, 36}
"""SaslHandshake, ApiVersions and SaslAuthenticate: their files say why."""
_REFUSALS = {29, 30, 31, 53, 65, 100}
"""The AUTHORIZATION_FAILED codes, and UNKNOWN_TOPIC_ID: the id in question does exist."""
_HIDDEN = {16: "groups", 35: "results"}
"""APIs that answer with less instead, some only in their first versions."""
ALL = tuple(
    Need(operation=Operation.ALL, resource=kind)
    for kind in (ResourceType.TOPIC, ResourceType.GROUP, ResourceType.CLUSTER, ResourceType.TRANSACTIONAL_ID)
)


class Guarded:
    """A broker with ACLs, and one client that nobody knows."""

    def __init__(self, broker: Broker, wire: Wire, topic_id: UUID) -> None:
        self.wire = wire
        self.metadata = broker.node._metadata
        self.topic_id = topic_id

    async def grant(self, needs: Iterable[Need]) -> None:
        """Exactly these, of every name."""
        await give(self.metadata, needs)

    async def ask(self, api: Api, version: int) -> Any:
        request = sample(api.key, version, self.topic_id)
        body = io.BytesIO()
        entity_writer(type(request))(body, request)
        flexible = shape(api.key, version).flexible_request_header
        header = struct.pack(">hhih", api.key, version, 7, 4) + b"test" + (b"\0" if flexible else b"")
        self.wire.send(header + body.getvalue())
        async with asyncio.timeout(30):
            return (await self.wire.response(api.key, version))[1]


async def give(metadata: Any, needs: Iterable[Need]) -> None:
    acls = [_acl(need) for need in needs]

    def work(tx: Any) -> None:
        delete_acls(tx, [lambda _: True])
        create_acls(tx, acls)

    await metadata.change(work)


def _acl(need: Need) -> Acl:
    """ANY_RIGHT is any one: here, one that is of no other use."""
    if need == ANY_RIGHT:
        need, name = Need(operation=Operation.READ, resource=ResourceType.TOPIC), "elsewhere"
    else:
        name = CLUSTER if need.resource is ResourceType.CLUSTER else "*"
    return Acl(
        resource_type=need.resource,
        name=name,
        pattern=LITERAL,
        principal=ANONYMOUS,
        host="*",
        operation=need.operation,
        permission=ALLOW,
    )


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    flags += ["--config", "authorizer.class.name=StandardAuthorizer", "--config", "super.users=User:root"]
    node = Node(parse(flags), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    wire = await broker.connect()
    await give(node._metadata, ALL)
    topic = await create(wire, TOPIC)
    await _commit(wire)
    await give(node._metadata, ())
    yield Guarded(broker, wire, topic.topic_id)
    await broker.hang_up()
    await node.stop()


async def _commit(wire: Wire) -> None:
    """Makes the group: its coordinator may have to be made first."""
    part = {"partition_index": 0, "committed_offset": 0, "committed_leader_epoch": -1, "committed_metadata": None}
    asked = [{"name": TOPIC, "partitions": [part]}]
    async with asyncio.timeout(30):
        while True:
            await wire.ask(10, 3, key=GROUP, key_type=0)
            found = await wire.ask(
                8, 8, group_id=GROUP, generation_id_or_member_epoch=-1, member_id="", group_instance_id=None,
                topics=asked,
            )  # fmt: skip
            if int(found.topics[0].partitions[0].error_code) == 0:
                return
            await asyncio.sleep(0.05)


def codes(found: Any) -> Iterator[int]:
    """Every error code in an answer."""
    if dataclasses.is_dataclass(found):
        for field in dataclasses.fields(found):
            value = getattr(found, field.name)
            if field.name in ("error_code", "partition_error_code"):
                yield int(value)
            else:
                yield from codes(value)
    elif isinstance(found, tuple):
        for each in found:
            yield from codes(each)


def is_refused(api: Api, found: Any) -> bool:
    """Whether anything in the answer was refused for want of a right, or left out."""
    hidden = _HIDDEN.get(api.key)
    return bool(_REFUSALS & set(codes(found))) or (hidden is not None and not getattr(found, hidden))


def versions(api: Api) -> range:
    return range(api.low, api.high + 1)


def test_only_what_comes_before_a_client_is_known_needs_no_right() -> None:
    assert {api.key for api in all_apis() if not api.needs} == FOR_EVERYBODY


async def test_a_principal_without_rights_is_refused_on_every_key_and_version(guarded: Guarded) -> None:
    answered = [
        f"{api.name} {version}"
        for api in GUARDED
        for version in versions(api)
        if not is_refused(api, await guarded.ask(api, version))
    ]
    assert answered == []


async def test_every_need_is_necessary_by_itself(guarded: Guarded) -> None:
    unneeded = []
    for api in GUARDED:
        for version in {api.low, api.high}:
            for need in api.needs_of(version):
                await guarded.grant(each for each in api.needs_of(version) if each != need)
                if not is_refused(api, await guarded.ask(api, version)):
                    unneeded.append(f"{api.name} {version}: {need.operation.name} {need.resource.name}")
    assert unneeded == []


async def test_a_producers_rights_are_not_enough_for_what_brokers_ask_and_a_brokers_not_for_what_producers_do(
    guarded: Guarded,
) -> None:
    api = next(api for api in GUARDED if api.key == 24)
    await guarded.grant(api.needs_of(3))
    assert [is_refused(api, await guarded.ask(api, version)) for version in versions(api)] == [False] * 4 + [True] * 2
    await guarded.grant(api.needs_of(4))
    assert [is_refused(api, await guarded.ask(api, version)) for version in versions(api)] == [True] * 4 + [False] * 2


async def test_the_needs_are_enough_and_so_is_each_of_what_does_instead(guarded: Guarded) -> None:
    refused = []
    for api in sorted(GUARDED, key=lambda api: (api.key == 20, api.key == 42, api.key)):
        for needs in _enough(api):
            await guarded.grant(needs)
            if is_refused(api, await guarded.ask(api, api.high)):
                refused.append(f"{api.name}: {[(need.operation.name, need.resource.name) for need in needs]}")
    assert refused == []


def _enough(api: Api) -> Iterator[list[Need]]:
    """The declared needs of the newest version, and then the same with each replaced by one that does as well."""
    needs = api.needs_of(api.high)
    if api.key not in (20, 42):
        for need in needs:
            for other in need.instead:
                yield [other if each == need else each for each in needs]
    yield list(needs)


async def test_a_forbidden_topic_or_group_and_a_missing_one_answer_alike(guarded: Guarded) -> None:
    forbidden = {(api.key, version): await guarded.ask(api, version) for api in GUARDED for version in versions(api)}
    await guarded.grant(ALL)
    deletions = {api.key: api for api in GUARDED if api.key in (20, 42)}
    for api in deletions.values():
        assert not any(codes(await guarded.ask(api, api.high)))
    await guarded.grant(())
    for api in GUARDED:
        for version in versions(api):
            assert await guarded.ask(api, version) == forbidden[api.key, version], f"{api.name} {version}"
