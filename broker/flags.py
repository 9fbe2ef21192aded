"""How one broker is started: its flags, checked, with the defaults that follow from `--dir`.

A mistake is one line on stderr that names the flag, the value and the next step, and exit code 2.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from broker.bill.prices import load_prices
from broker.configs import of_broker
from broker.errors import InvalidConfig
from broker.groups.settings import GroupSettings
from broker.metadata.image import PEER_LISTENER
from broker.metadata.urls import KINDS, shown
from broker.security.authorizer import AuthorizerSettings
from broker.security.doors import DoorSettings
from broker.spot.places import Place
from broker.spot.places import parse as parse_place
from broker.telemetry.zones import Networks, parse_zones
from broker.wal.base import WalError
from broker.wal.kinds import BESIDE_OBJECTS
from broker.wal.places import directory_of

_LISTENER = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)://(?P<host>\[[^\]]*\]|[^:/]*):(?P<port>\d+)$")
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?$")
_UNITS = {None: 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_LEAST_WAL_BYTES = 16 * 2**20
_LEAST_CACHE_BYTES = 2**20
Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A name, and where it listens or how it is reached."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Config:
    """One broker, as asked for."""

    id: int
    dir: Path
    cluster: str
    objects: str
    wal: str
    metadata: str
    listeners: tuple[Listener, ...]
    advertised: Mapping[str, Listener]
    """What clients are told instead, by listener name; port 0 stands for the port that was bound."""
    peer_listener: tuple[str, int]
    """Where other brokers reach this one; port 0: any."""
    admin_token_file: Path | None
    http_host: str
    http_port: int
    zone: str | None
    zones: Networks
    configs: Mapping[str, str]
    """`--config key=value`, Kafka's names."""
    groups: GroupSettings
    authorizer: AuthorizerSettings
    doors: DoorSettings
    first_users: Path | None
    upload_interval_s: float
    wal_pace_s: float
    snapshot_interval_s: float
    wal_bytes: int
    pending_limit_bytes: int
    tail_cache_bytes: int
    block_cache_bytes: int
    read_ahead_bytes: int
    store_bandwidth: int | None
    """Bytes a second to and from the object store; None: no limit."""
    catch_up_bandwidth: int | None
    """Of that, what is not the tail's while records are written; None: no limit."""
    allow_host_durability: bool
    spot: bool
    spot_notices: Place | None
    """Who knows that this machine will be taken away."""
    instance_type: str
    bill: bool
    otlp_endpoint: str
    """Where own traces and metrics go; empty: where OpenTelemetry's environment variables say."""
    exit_with_parent: bool

    def static_configs(self) -> dict[str, str]:
        """`--config`, and what other flags say under Kafka's names: what DescribeConfigs shows as static."""
        told = {
            "broker.id": str(self.id),
            "node.id": str(self.id),
            "broker.rack": self.zone or "",
            "listeners": _joined(self.listeners),
            "advertised.listeners": _joined(self.advertised.values()),
        }
        return {**told, **self.configs}


class _Parser(argparse.ArgumentParser):
    """argparse, with mistakes in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse(arguments: Sequence[str] | None = None) -> Config:
    """The flags as a `Config`; exits with 2 on a mistake."""
    parser = _flags()
    given = parser.parse_args(arguments)
    try:
        return _config(given)
    except ValueError as error:
        parser.error(str(error))


def _flags() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="streampilot broker",
        description="One Kafka-compatible broker on object storage.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--id", type=int, default=0, help="broker id, unique in the cluster (default 0)")
    add("--dir", type=Path, required=True, help="where WAL, objects, metadata and bill are by default")
    add("--cluster", default="streampilot", help="the cluster's name, in metrics and bill")
    add("--objects", help="object store: file:///dir or s3://bucket/prefix (default DIR/objects)")
    add(
        "--wal",
        help="write-ahead log: file:///dir[?fence=verify], objects:// or s3://bucket/prefix (default DIR/wal/ID)",
    )
    add("--metadata", help="metadata store: sqlite:///file or postgresql://user@host/db (default DIR/metadata.db)")
    add(
        "--listeners",
        default="PLAINTEXT://127.0.0.1:9092",
        help="NAME://HOST:PORT, comma-separated; NAME: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; port 0: any",
    )
    add("--advertised-listeners", default="", help="what clients are told, where it differs")
    add(
        "--scram-credentials",
        type=Path,
        metavar="FILE",
        help="the first users, a line each: SCRAM-SHA-512=[name=admin,password=...]; who has one keeps it",
    )
    add("--http", default="127.0.0.1:0", help="HOST:PORT of /metrics, /healthz, /readyz and /admin/v1")
    add("--admin-token-file", type=Path, help="a file with the token for /admin/v1; needed away from loopback")
    add(
        "--inter-broker-listener",
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="where other brokers reach this one; an address they can use",
    )
    add("--zone", help="the availability zone this broker is in")
    add("--zones", default="", help="CIDR=ZONE, comma-separated: the zones of clients that do not say")
    add(
        "--config", action="append", default=[], metavar="KEY=VALUE", help="a broker config by Kafka's name; repeatable"
    )
    add(
        "--upload-interval", type=float, default=60.0, metavar="SECONDS", help="upload at least this often (default 60)"
    )
    add(
        "--snapshot-interval",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="copy the metadata into --objects this often (default 300)",
    )
    add("--wal-size", default="256MiB", help="capacity of the write-ahead log (default 256MiB)")
    _add_bounds(add)
    add(
        "--allow-host-durability",
        action="store_true",
        help="join brokers of other hosts with a WAL that is lost with this host",
    )
    add(
        "--wal-pace",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="an object WAL sends a slot at most this often: fewer PUTs, later acks (default 0: one after the other)",
    )
    add("--spot", action="store_true", help="this machine may be taken away at any time")
    add(
        "--spot-notices",
        default="",
        metavar="WHO",
        help="who tells that this machine is to be taken away, which empties the broker: aws, gcp, azure or alibaba,"
        " one of them with =http://host:port, or a URL that is 404 until then; {id} in it: this broker's id",
    )
    add("--instance-type", default="m7g.large", help="what the bill charges for this machine")
    add("--no-bill", action="store_true", help="write no bill")
    add("--otlp-endpoint", default="", metavar="URL", help="send own traces and metrics there, OTLP over HTTP")
    add("--exit-with-parent", action="store_true", help="stop when the process that started this one is gone")
    return parser


def _config(given: argparse.Namespace) -> Config:
    if given.id < 0:
        raise ValueError(f"--id {given.id}: broker ids start at 0")
    for flag, seconds in (("upload", given.upload_interval), ("snapshot", given.snapshot_interval)):
        if seconds <= 0:
            raise ValueError(f"--{flag}-interval {seconds:g}: give seconds above 0")
    if not 0 <= given.wal_pace <= 1:
        raise ValueError(f"--wal-pace {given.wal_pace:g}: give 0 to 1 seconds, such as 0.25")
    load_prices().instance(given.instance_type)
    directory = given.dir.absolute()
    listeners = _listeners("--listeners", given.listeners)
    advertised = {each.name: each for each in _listeners("--advertised-listeners", given.advertised_listeners)}
    strangers = set(advertised) - {listener.name for listener in listeners}
    if not listeners or strangers:
        raise ValueError(f"--advertised-listeners {', '.join(sorted(strangers))}: no listener has that name")
    for listener in listeners:
        if listener.host in ("", "0.0.0.0", "::") and listener.name not in advertised:
            flag = f"--listeners {listener.name}://{listener.host}:{listener.port}"
            raise ValueError(f"{flag}: clients cannot connect to that; say how in --advertised-listeners")
    for listener in listeners:
        if listener.name == PEER_LISTENER:
            raise ValueError(f"--listeners {listener.name}: that name is kept for --inter-broker-listener")
    peer_listener = _host_port("--inter-broker-listener", given.inter_broker_listener)
    if peer_listener[0] in ("", "0.0.0.0", "::"):
        raise ValueError(f"--inter-broker-listener {given.inter_broker_listener}: give an address brokers can reach")
    host, port = _host_port("--http", given.http)
    configs = dict(_pair(text) for text in given.config)
    return Config(
        id=given.id,
        dir=directory,
        cluster=given.cluster,
        objects=_url("--objects", given.objects, ("file", "s3", "memory"), f"file://{directory / 'objects'}"),
        wal=_wal_url(given.wal, f"file://{directory / 'wal' / str(given.id)}"),
        metadata=_url("--metadata", given.metadata, KINDS, f"sqlite://{directory / 'metadata.db'}"),
        listeners=listeners,
        advertised=advertised,
        peer_listener=peer_listener,
        admin_token_file=given.admin_token_file,
        http_host=host,
        http_port=port,
        zone=given.zone or None,
        zones=_zones(given.zones),
        configs=configs,
        groups=GroupSettings.of(configs),
        authorizer=_guarding(lambda: AuthorizerSettings.of(configs)),
        doors=_guarding(lambda: DoorSettings.of(configs, [listener.name for listener in listeners])),
        first_users=given.scram_credentials,
        upload_interval_s=given.upload_interval,
        wal_pace_s=given.wal_pace,
        snapshot_interval_s=given.snapshot_interval,
        wal_bytes=_size("--wal-size", given.wal_size),
        pending_limit_bytes=_size("--pending-limit", given.pending_limit),
        tail_cache_bytes=_size("--tail-cache", given.tail_cache, _LEAST_CACHE_BYTES),
        block_cache_bytes=_size("--block-cache", given.block_cache, _LEAST_CACHE_BYTES),
        read_ahead_bytes=_size("--read-ahead", given.read_ahead, 0),
        store_bandwidth=_size("--store-bandwidth", given.store_bandwidth, 0) or None,
        catch_up_bandwidth=_size("--catch-up-bandwidth", given.catch_up_bandwidth, 0) or None,
        allow_host_durability=given.allow_host_durability,
        spot=given.spot,
        spot_notices=_spot_notices(given.spot_notices, given.id),
        instance_type=given.instance_type,
        bill=not given.no_bill,
        otlp_endpoint=_url("--otlp-endpoint", given.otlp_endpoint or None, ("http", "https"), ""),
        exit_with_parent=given.exit_with_parent,
    )


def _add_bounds(add: Callable[..., object]) -> None:
    """What bounds a broker's memory and its traffic (docs/config.md)."""
    sizes = {
        "--pending-limit": ("128MiB", "what may wait for upload before producers do"),
        "--tail-cache": ("64MiB", "newest records kept in memory"),
        "--block-cache": ("32MiB", "blocks of objects kept for catch-up readers"),
        "--read-ahead": ("4MiB", "how far ahead of a catch-up reader blocks are fetched"),
        "--store-bandwidth": ("0", "bytes a second to and from the object store, the tail first; 0: no limit"),
        "--catch-up-bandwidth": ("96MiB", "of them for catch-up readers and compaction while records are written"),
    }
    for flag, (default, what) in sizes.items():
        add(flag, default=default, metavar="SIZE", help=f"{what} (default {default})")


def _listeners(flag: str, text: str) -> tuple[Listener, ...]:
    found: dict[str, Listener] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _LISTENER.match(part)
        if match is None or int(match["port"]) > 65535:
            raise ValueError(f"{flag} {part}: write NAME://HOST:PORT, such as PLAINTEXT://127.0.0.1:9092")
        if match["name"] in found:
            raise ValueError(f"{flag} {part}: the name {match['name']} is there twice")
        found[match["name"]] = Listener(name=match["name"], host=match["host"].strip("[]"), port=int(match["port"]))
    return tuple(found.values())


def _joined(listeners: Iterable[Listener]) -> str:
    return ",".join(f"{each.name}://{each.host}:{each.port}" for each in listeners)


def _host_port(flag: str, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{flag} {text}: write HOST:PORT, such as 127.0.0.1:0")
    return host.strip("[]"), int(port)


def _url(flag: str, text: str | None, schemes: Sequence[str], default: str) -> str:
    if text is None:
        return default
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in schemes or not rest:
        raise ValueError(f"{flag} {shown(text)}: write {' or '.join(f'{known}://...' for known in schemes)}")
    return text


def _wal_url(text: str | None, default: str) -> str:
    if text == BESIDE_OBJECTS:
        return text
    if text is not None and text.startswith(BESIDE_OBJECTS):
        raise ValueError(
            f"--wal {text}: write {BESIDE_OBJECTS} alone, for the store of --objects, or s3://bucket/prefix"
        )
    if text is not None and text.startswith("file://"):
        try:
            directory_of(text)
        except WalError as error:
            raise ValueError(f"--wal{str(error).removeprefix('WAL')}") from error
    return _url("--wal", text, ("file", "s3", "objects"), default)


def _guarding(make: Callable[[], Settings]) -> Settings:
    try:
        return make()
    except InvalidConfig as error:
        raise ValueError(f"--config {error.message}") from error


def _zones(text: str) -> Networks:
    try:
        return parse_zones(text)
    except ValueError as error:
        raise ValueError(f"--zones {error}") from error


def _spot_notices(text: str, broker: int) -> Place | None:
    try:
        return parse_place(text, broker)
    except ValueError as error:
        raise ValueError(f"--spot-notices {error}") from error


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"--config {text}: write KEY=VALUE, such as num.partitions=3")
    try:
        return key.strip(), of_broker(key.strip()).checked(value)
    except InvalidConfig as error:
        raise ValueError(f"--config {text}: {error.message}") from error


def _size(flag: str, text: str, least: int = _LEAST_WAL_BYTES) -> int:
    match = _SIZE.match(text.strip())
    size_bytes = int(match[1]) * _UNITS[match[2]] if match is not None else -1
    if size_bytes < least:
        raise ValueError(f"{flag} {text}: write a size of at least {least // 2**20}MiB, such as 256MiB")
    return size_bytes
