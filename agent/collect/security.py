"""The `security` view: what listeners, certificates and ACLs look like, a row per thing checked.

| subject | check | value |
|---|---|---|
| `broker/1/listener/SASL` | `protocol` | `SASL_SSL` |
| | `address` | the advertised `host:port` |
| | `sasl_mechanisms` | `SCRAM-SHA-512,PLAIN` |
| `broker/1` | `authorizer` | the class, or `none` |
| | `open_without_acl` | `true` where a resource without ACL is open to everyone |
| | `certificate` | its name; `expires_at` is its end |
| `principal/User:x` | `acls` | how many there are |
| `acl/User:x/WRITE/TOPIC/*` | `acl` or `broad_acl` | `ALLOW from *` |

Pure. A broad ACL lets everybody in, or one principal write to everything or alter the cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.collect.shapes import Acl, ConfigEntry, Inventory
from agent.model.resource import encode, resource_id

MOST_ACLS = 2_000
"""Rows of single ACLs; the count per principal is of all."""
READING = frozenset({"READ", "DESCRIBE", "DESCRIBE_CONFIGS"})
ON_CLUSTER = frozenset({"ALL", "ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION", "CREATE"})


@dataclass(frozen=True, kw_only=True)
class Check:
    resource: str
    subject: str
    check: str
    value: str
    expires_at: datetime | None = None


def checks(cluster: str, brokers: Mapping[str, Mapping[str, ConfigEntry]], inventory: Inventory) -> list[Check]:
    """Every row that the configs and the inventory can fill; brokers are by id."""
    found = [row for id, entries in brokers.items() for row in _broker(cluster, id, entries)]
    for shown in inventory.certificates:
        resource = resource_id(cluster, "broker", shown.broker)
        subject = f"broker/{shown.broker}"
        found.append(
            Check(
                resource=resource,
                subject=subject,
                check="certificate",
                value=shown.subject,
                expires_at=shown.expires_at,
            )
        )
    return found + _acls(cluster, inventory.acls or ())


def _broker(cluster: str, id: str, entries: Mapping[str, ConfigEntry]) -> Iterator[Check]:
    def setting(name: str) -> str:
        entry = entries.get(name)
        return "" if entry is None or entry.value is None else entry.value

    resource = resource_id(cluster, "broker", id)

    def row(subject: str, check: str, value: str) -> Check:
        return Check(resource=resource, subject=subject, check=check, value=value)

    protocols = dict(_pairs(setting("listener.security.protocol.map"), ":"))
    listeners = setting("advertised.listeners") or setting("listeners")
    for name, address in _pairs(listeners, "://"):
        protocol = protocols.get(name, name)
        subject = f"broker/{id}/listener/{encode(name)}"
        yield row(subject, "protocol", protocol)
        yield row(subject, "address", address)
        if protocol.startswith("SASL"):
            yield row(subject, "sasl_mechanisms", setting("sasl.enabled.mechanisms") or "GSSAPI")
    if "authorizer.class.name" in entries:
        yield row(f"broker/{id}", "authorizer", setting("authorizer.class.name").rpartition(".")[2] or "none")
    if "allow.everyone.if.no.acl.found" in entries:
        yield row(f"broker/{id}", "open_without_acl", setting("allow.everyone.if.no.acl.found") or "false")


def _pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """`A:x,B:y` as pairs; what has no separator is left out."""
    for part in text.split(","):
        name, found, rest = part.strip().partition(separator)
        if found:
            yield name, rest


def _acls(cluster: str, acls: tuple[Acl, ...]) -> list[Check]:
    rows = [
        Check(
            resource=resource_id(cluster, "principal", principal),
            subject=f"principal/{encode(principal)}",
            check="acls",
            value=str(count),
        )
        for principal, count in sorted(Counter(acl.principal for acl in acls).items())
    ]
    for acl in sorted(acls, key=lambda acl: (not broad(acl), acl.principal, acl.resource_type, acl.resource_name)):
        if len(rows) >= MOST_ACLS:
            break
        suffix = "*" if acl.pattern == "PREFIXED" else ""
        name = encode(acl.resource_name) + suffix
        rows.append(
            Check(
                resource=resource_id(cluster, "principal", acl.principal),
                subject=f"acl/{encode(acl.principal)}/{acl.operation}/{acl.resource_type}/{name}",
                check="broad_acl" if broad(acl) else "acl",
                value=f"{acl.permission} from {acl.host}",
            )
        )
    return rows


def broad(acl: Acl) -> bool:
    """Whether it lets everybody in, lets one write everywhere, or lets one alter the cluster."""
    if acl.permission != "ALLOW":
        return False
    if acl.resource_type == "CLUSTER":
        return acl.operation in ON_CLUSTER
    everywhere = acl.resource_name == "*" or (acl.pattern == "PREFIXED" and not acl.resource_name)
    return acl.principal == "User:*" or (everywhere and acl.operation not in READING)
