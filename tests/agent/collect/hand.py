"""A cluster held by hand: an admin reader that answers shapes, and real HTTP servers that answer exposition text."""

import threading
from collections.abc import Collection, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agent.collect.errors import ClusterUnreachable
from agent.collect.shapes import (
    BrokerNode,
    ConfigEntry,
    Group,
    Inventory,
    LogRange,
    Member,
    PartitionId,
    PartitionState,
    Topology,
)


class HandAdmin:
    """What the admin API would say, set by the test."""

    def __init__(self, brokers: int = 3, partitions: int = 6, topic: str = "orders") -> None:
        self.notes: dict[str, str] = {}
        self.nodes = [BrokerNode(id=n, host="127.0.0.1", port=9092 + n, rack=f"zone-{n}") for n in range(brokers)]
        self.leaders = {(topic, n): n % brokers for n in range(partitions)}
        self.ends: dict[PartitionId, int] = dict.fromkeys(self.leaders, 0)
        self.starts: dict[PartitionId, int] = dict.fromkeys(self.leaders, 0)
        self.offsets: dict[str, dict[PartitionId, int]] = {}
        self.members: dict[str, int] = {}
        self.configs = {"retention.ms": "604800000", "cleanup.policy": "delete"}
        self.followers: tuple[int, ...] = ()
        self.gone = False
        self.held = Inventory()

    def inventory(self, topology: Topology) -> Inventory:
        return self.held

    def topology(self) -> Topology:
        if self.gone:
            raise ClusterUnreachable("no Kafka broker at 127.0.0.1:9092")
        states = [
            PartitionState(
                topic=topic, partition=n, leader=leader, epoch=0, replicas=(leader, *self.followers), isr=(leader,)
            )
            for (topic, n), leader in sorted(self.leaders.items())
        ]
        return Topology(
            cluster_id="hand", controller=0, brokers=tuple(self.nodes), partitions=tuple(states), internal=frozenset()
        )

    def groups(self, brokers: Collection[int]) -> dict[str, Group]:
        return {
            id: Group(
                id=id,
                state="Stable" if self.members.get(id) else "Empty",
                protocol="range",
                coordinator=0,
                members=tuple(
                    Member(id=f"{id}-{n}", client_id=f"c{n}", host="/127.0.0.1", partitions=tuple(self.offsets[id]))
                    for n in range(self.members.get(id, 0))
                ),
            )
            for id in self.offsets
        }

    def committed(self, groups: Iterable[Group]) -> dict[str, dict[PartitionId, int]]:
        return {group.id: self.offsets[group.id] for group in groups}

    def log_ranges(self, topology: Topology) -> dict[PartitionId, LogRange]:
        return {
            id: LogRange(start=self.starts[id], end=end, last_stable=end)
            for id, end in self.ends.items()
            if self.leaders[id] >= 0
        }

    def topic_configs(self, topics: Collection[str]) -> dict[str, dict[str, ConfigEntry]]:
        return {topic: self._entries() for topic in topics}

    def broker_configs(self, brokers: Iterable[int]) -> dict[str, dict[str, ConfigEntry]]:
        return {str(broker): self._entries() for broker in brokers}

    def close(self) -> None:
        self.gone = True

    def _entries(self) -> dict[str, ConfigEntry]:
        return {
            name: ConfigEntry(value=value, source="DEFAULT_CONFIG", read_only=False)
            for name, value in self.configs.items()
        }


class MetricsServer:
    """A real HTTP server on loopback whose body, status and pace a test sets."""

    def __init__(self, body: str = "") -> None:
        self.body = body.encode()
        self.status = 200
        self.encoding = ""
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.hold.wait(5)
                self.send_response(outer.status)
                if outer.encoding:
                    self.send_header("Content-Encoding", outer.encoding)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/metrics"

    def say(self, body: str) -> None:
        self.body = body.encode()

    def stop(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def broker_body(
    broker: int, tick: int, *, partitions: Iterable[int], zone: str = "zone-0", bytes_per_tick: int = 5000
) -> str:
    """The bundled broker's exposition after `tick` scrapes."""
    total = tick * bytes_per_tick
    info = f'broker_id="{broker}",cluster_id="hand",zone="{zone}",version="0.1.0",spot="false",host="h"'
    shop = 'client_id="shop/1",direction="produce"'
    nomad = 'client_id="nomad",direction="fetch"'
    lines = [
        f"streampilot_broker_info{{{info}}} 1",
        f"process_cpu_seconds_total {tick * 0.5}",
        "process_resident_memory_bytes 50000000",
        "process_start_time_seconds 1700000000",
        f'kafka_broker_network_io_bytes_total{{direction="in"}} {total}',
        f'kafka_broker_network_io_bytes_total{{direction="out"}} {2 * total}',
        f'kafka_request_count_total{{type="Produce",version="9"}} {tick * 100}',
        f'kafka_request_count_total{{type="Fetch",version="12"}} {tick * 50}',
        f'kafka_request_error_count_total{{type="Produce",error="NONE"}} {tick * 100}',
        f'kafka_request_error_count_total{{type="Produce",error="NOT_LEADER_OR_FOLLOWER"}} {tick}',
        'kafka_request_time_99p_milliseconds{type="Produce"} 12',
        'kafka_server_connection_count{listener="PLAINTEXT"} 4',
        "kafka_stream_wal_pending_upload_bytes 1048576",
        "kafka_stream_wal_oldest_pending_seconds 3",
        "streampilot_wal_capacity_bytes 268435456",
        "streampilot_wal_errors_total 0",
        f'streampilot_object_store_requests_total{{operation="put",status="success"}} {tick * 10}',
        f'streampilot_object_store_bytes_total{{operation="put",direction="out"}} {total}',
        "kafka_stream_object_count 7",
        "kafka_stream_object_bytes 7340032",
        f'streampilot_client_io_bytes_total{{{shop},client_zone="zone-9",software="x"}} {total}',
        f'streampilot_client_io_bytes_total{{{nomad},client_zone="unknown",software="x"}} {total}',
        f"streampilot_client_cross_zone_bytes_total{{{shop}}} {total}",
        f"streampilot_client_requests_total{{{shop}}} {tick * 20}",
        f'streampilot_client_batches_total{{client_id="shop/1",codec="none"}} {tick * 5}',
        f'streampilot_client_batch_bytes_total{{client_id="shop/1",codec="none"}} {total}',
    ]
    for bound, share in (("0.001", 0), ("0.01", 0.9), ("0.1", 1), ("+Inf", 1)):
        labels = f'operation_type="append_wal",status="success",le="{bound}"'
        lines.append(f"kafka_stream_operation_latency_seconds_bucket{{{labels}}} {int(tick * 100 * share)}")
    for partition in partitions:
        for direction, factor in (("in", 1), ("out", 2)):
            lines.append(
                f'kafka_network_io_bytes_total{{topic="orders",partition="{partition}",direction="{direction}"}} '
                f"{total * factor}"
            )
        lines.append(f'kafka_log_size{{topic="orders",partition="{partition}"}} {total}')
    return "\n".join(lines) + "\n"


def registry_body(registered: dict[int, int]) -> str:
    """Whom a bundled broker's metadata counts on; 0 where it is missed."""
    return "".join(f'streampilot_registered_broker{{broker_id="{id}"}} {alive}\n' for id, alive in registered.items())
