"""What a real cluster said, kept: exposition of each broker and the admin looks beside it, round by round.

    tests/data/sources/NAME/rounds.json.gz    [{"after_s": 10.2, "admin": {...}}, ...]
    tests/data/sources/NAME/BROKER-ROUND.txt.gz
    tests/data/sources/NAME/push-ROUND.pb.gz    what a client pushed by OTLP, where one does

Written by `python -m tests.interop.record`, read by the tests. Comment lines and the families that nothing reads and
that make up most of a JMX exporter's body (`LEFT_OUT`) are dropped, so that the files stay small.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.collect import snapshot
from agent.collect.shapes import (
    Acl,
    BrokerNode,
    ConfigEntry,
    Group,
    Inventory,
    LogDir,
    LogRange,
    Member,
    PartitionState,
    Quota,
    Topology,
)
from agent.collect.snapshot import AdminLook, AdminReader

SOURCES = Path(__file__).resolve().parents[1] / "data/sources"
LEFT_OUT = re.compile(
    r"#|jvm_|jmx_|kafka_server_raft|kafka_server_txn_marker|kafka_controller_|kafka_coordinator_|"
    r"kafka_network_requestmetrics_(local|remote|requestq|requestb|responseq|responses|temporary|messagec)|"
    r"kafka_server_(share|group_coord|socket_server_metrics_listener|socket_server_metrics_clients)"
)


def kept(body: str) -> str:
    return "".join(f"{line}\n" for line in body.splitlines() if line and not LEFT_OUT.match(line))


def write(name: str, round: int, bodies: dict[int, str]) -> None:
    folder = SOURCES / name
    folder.mkdir(parents=True, exist_ok=True)
    for broker, body in bodies.items():
        (folder / f"{broker}-{round}.txt.gz").write_bytes(gzip.compress(kept(body).encode(), mtime=0))


def write_push(name: str, round: int, body: bytes) -> None:
    (SOURCES / name / f"push-{round}.pb.gz").write_bytes(gzip.compress(body, mtime=0))


def write_looks(name: str, looks: Iterable[tuple[float, AdminLook]]) -> None:
    rounds = [{"after_s": round(after, 1), "admin": _plain(look)} for after, look in looks]
    text = json.dumps(rounds, separators=(",", ":"))
    (SOURCES / name / "rounds.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def look(admin: AdminReader) -> AdminLook:
    return snapshot.look(admin, with_configs=True)


def _plain(look: AdminLook) -> dict[str, Any]:
    """Plain JSON; keys that are pairs become lists."""
    assert look.topology and look.groups is not None and look.configs and look.inventory, look.reason
    held = look.inventory
    return {
        "topology": {**asdict(look.topology), "internal": sorted(look.topology.internal)},
        "ranges": [[*id, asdict(span)] for id, span in look.ranges.items()],
        "groups": [asdict(group) for group in look.groups.values()],
        "committed": [
            [group, *id, offset] for group, offsets in look.committed.items() for id, offset in offsets.items()
        ],
        "configs": [
            [scope, owner, name, asdict(entry)]
            for (scope, owner), entries in look.configs.items()
            for name, entry in entries.items()
        ],
        "log_dirs": [
            {**asdict(row), "path": "/data", "sizes": [[*id, size] for id, size in row.sizes.items()]}
            for row in held.log_dirs
        ],
        "acls": [asdict(acl) for acl in held.acls or ()],
        "quotas": [asdict(quota) for quota in held.quotas or ()],
    }


class RecordedAdmin:
    """An admin reader that says what was recorded; `turn` moves it to a round."""

    def __init__(self, name: str) -> None:
        text = gzip.decompress((SOURCES / name / "rounds.json.gz").read_bytes())
        self.rounds: list[dict[str, Any]] = json.loads(text)
        self.notes: dict[str, str] = {}
        self.turn(0)

    def turn(self, round: int) -> None:
        self._now = self.rounds[round]["admin"]

    def topology(self) -> Topology:
        told = self._now["topology"]
        return Topology(
            cluster_id=told["cluster_id"],
            controller=told["controller"],
            brokers=tuple(BrokerNode(**node) for node in told["brokers"]),
            partitions=tuple(
                PartitionState(**{**state, "replicas": tuple(state["replicas"]), "isr": tuple(state["isr"])})
                for state in told["partitions"]
            ),
            internal=frozenset(told["internal"]),
        )

    def groups(self, brokers: object) -> dict[str, Group]:
        return {group["id"]: _group(group) for group in self._now["groups"]}

    def committed(self, groups: object) -> dict[str, dict[tuple[str, int], int]]:
        found: dict[str, dict[tuple[str, int], int]] = {}
        for group, topic, part, offset in self._now["committed"]:
            found.setdefault(group, {})[topic, part] = offset
        return found

    def log_ranges(self, topology: Topology) -> dict[tuple[str, int], LogRange]:
        return {(topic, part): LogRange(**span) for topic, part, span in self._now["ranges"]}

    def topic_configs(self, topics: object) -> dict[str, dict[str, ConfigEntry]]:
        return self._configs("topic")

    def broker_configs(self, brokers: object) -> dict[str, dict[str, ConfigEntry]]:
        return self._configs("broker")

    def _configs(self, wanted: str) -> dict[str, dict[str, ConfigEntry]]:
        found: dict[str, dict[str, ConfigEntry]] = {}
        for scope, owner, name, entry in self._now["configs"]:
            if scope == wanted:
                found.setdefault(owner, {})[name] = ConfigEntry(**entry)
        return found

    def inventory(self, topology: Topology) -> Inventory:
        return Inventory(
            log_dirs=tuple(
                LogDir(**{**row, "sizes": {(topic, part): size for topic, part, size in row["sizes"]}})
                for row in self._now["log_dirs"]
            ),
            acls=tuple(Acl(**acl) for acl in self._now["acls"]),
            quotas=tuple(Quota(**quota) for quota in self._now["quotas"]),
        )

    def close(self) -> None:
        return


def bodies(name: str) -> dict[int, list[str]]:
    """Broker to its bodies, round by round."""
    found: dict[int, list[str]] = {}
    for file in sorted((SOURCES / name).glob("*-*.txt.gz")):
        broker = int(file.name.partition("-")[0])
        found.setdefault(broker, []).append(gzip.decompress(file.read_bytes()).decode())
    return found


def pushes(name: str) -> list[bytes]:
    """Round by round; empty where nothing was pushed."""
    return [gzip.decompress(file.read_bytes()) for file in sorted((SOURCES / name).glob("push-*.pb.gz"))]


def _group(told: dict[str, Any]) -> Group:
    members = told["members"]
    return Group(
        **{
            **told,
            "members": None
            if members is None
            else tuple(
                Member(**{**member, "partitions": tuple((topic, part) for topic, part in member["partitions"])})
                for member in members
            ),
        }
    )
