"""What a cluster holds beside records and groups: log directories, ACLs, quotas, and the certificates it shows.

Each reading stands alone: what the principal may not see is named in the notes that are handed in, and is missing.
What a cluster does not offer at all is missing and nothing is noted: there is nothing to allow.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from kafka.admin import ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourceType
from kafka.protocol.admin import DescribeAclsRequest, DescribeClientQuotasRequest, DescribeLogDirsRequest

from agent.collect.errors import NotOffered
from agent.collect.link import Link
from agent.collect.shapes import Acl, BrokerNode, Certificate, LogDir, PartitionId, Quota

ANY = 1
"""Kafka's number for "any" in an ACL filter: type, pattern, operation and permission alike."""
SECURITY_DISABLED = 54
UNKNOWN_BYTES = -1
HANDSHAKE_SECONDS = 2.0
MOST_HANDSHAKES = 8
"""Side by side."""
ENUMS: Any = {
    "resource": ResourceType,
    "pattern": ACLResourcePatternType,
    "operation": ACLOperation,
    "permission": ACLPermissionType,
}

LogDirs: Any = DescribeLogDirsRequest

Usable = Callable[[str, Any], bool]
"""Whether the answer for an area can be read; what cannot is noted."""


def log_dirs(
    link: Link, brokers: Iterable[int], usable: Usable, topics: Sequence[tuple[str, Sequence[int]]] | None = None
) -> tuple[LogDir, ...]:
    """Every directory of every broker that answers; `topics`: with the logs of these partitions only."""
    asked = [(broker, LogDirs(topics=topics, min_version=1)) for broker in brokers]
    found: list[LogDir] = []
    for (broker, _), answer in zip(asked, link.send_all(asked), strict=True):
        if not isinstance(answer, NotOffered) and usable("log dirs", answer):
            found += [_log_dir(broker, row) for row in answer.results if not row.error_code]
    return tuple(found)


def _log_dir(broker: int, row: Any) -> LogDir:
    sizes: dict[PartitionId, int] = {
        (topic.name, partition.partition_index): partition.partition_size
        for topic in row.topics
        for partition in topic.partitions
        if not partition.is_future_key
    }
    return LogDir(
        broker=broker,
        path=row.log_dir,
        total_bytes=_known(getattr(row, "total_bytes", UNKNOWN_BYTES)),
        usable_bytes=_known(getattr(row, "usable_bytes", UNKNOWN_BYTES)),
        sizes=sizes,
    )


def _known(size: int) -> int | None:
    return None if size == UNKNOWN_BYTES else size


def acls(link: Link, usable: Usable) -> tuple[Acl, ...] | None:
    """Every ACL; None where they cannot be read, and an empty tuple where the cluster has no authorizer or no ACL."""
    request = DescribeAclsRequest(
        resource_type_filter=ANY, resource_name_filter=None, pattern_type_filter=ANY, principal_filter=None,
        host_filter=None, operation=ANY, permission_type=ANY, min_version=1,
    )  # fmt: skip
    (answer,) = link.send_all([(None, request)])
    if getattr(answer, "error_code", 0) == SECURITY_DISABLED:
        return ()
    if isinstance(answer, NotOffered) or not usable("ACLs", answer):
        return None
    return tuple(
        Acl(
            principal=acl.principal,
            host=acl.host,
            operation=_word("operation", acl.operation),
            permission=_word("permission", acl.permission_type),
            resource_type=_word("resource", resource.resource_type),
            resource_name=resource.resource_name,
            pattern=_word("pattern", resource.pattern_type),
        )
        for resource in answer.resources
        for acl in resource.acls
    )


def _word(kind: str, number: int) -> str:
    """Kafka's name for a number; the number where this agent is older than the cluster."""
    with contextlib.suppress(ValueError):
        return str(ENUMS[kind](number).name)
    return str(number)


def quotas(link: Link, usable: Usable) -> tuple[Quota, ...] | None:
    """Every quota; None where they cannot be read."""
    (answer,) = link.send_all([(None, DescribeClientQuotasRequest(components=[], strict=False))])
    if isinstance(answer, NotOffered) or not usable("quotas", answer):
        return None
    return tuple(
        Quota(
            entity=",".join(sorted(f"{part.entity_type}={part.entity_name or '<default>'}" for part in row.entity)),
            limits={limit.key: limit.value for limit in row.values},
        )
        for row in answer.entries or ()
    )


def certificates(
    brokers: Sequence[BrokerNode], context: ssl.SSLContext | None, timeout_s: float = HANDSHAKE_SECONDS
) -> tuple[Certificate, ...]:
    """What each broker shows on the listener that the agent uses; nothing without TLS, or where no one answers."""
    if context is None:
        return ()
    with ThreadPoolExecutor(MOST_HANDSHAKES, thread_name_prefix="certificates") as pool:
        found = list(pool.map(lambda broker: _certificate(broker, context, timeout_s), brokers))
    return tuple(certificate for certificate in found if certificate is not None)


def _certificate(broker: BrokerNode, context: ssl.SSLContext, timeout_s: float) -> Certificate | None:
    try:
        with (
            socket.create_connection((broker.host, broker.port), timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=broker.host) as secured,
        ):
            shown: Any = secured.getpeercert() or {}
    except (OSError, ValueError):
        return None
    if "notAfter" not in shown:
        return None
    names = {key: value for part in shown.get("subject", ()) for key, value in part}
    return Certificate(
        broker=broker.id,
        address=f"{broker.host}:{broker.port}",
        subject=names.get("commonName", ""),
        expires_at=datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC),
    )
