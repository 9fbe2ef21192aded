"""One broker, put together: who is made from what, what starts before what, and what ends in which order.

start   metadata -> WAL lock -> sockets (their ports go into the registration) -> logs -> groups -> ready
end     groups send their members on -> logs hand over, upload, deregister -> sockets -> the bill -> metadata
"""

from __future__ import annotations

import asyncio
import os
import random  # noqa: TID251
import secrets
import socket
import sys
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from broker.admin import app as admin
from broker.admin.app import Admin
from broker.admin.guard import Guard, read_token
from broker.admin.routes import Broker as Parts
from broker.api.context import ConnectionInfo, Context, Settings
from broker.api.fetch_sessions import FetchSessions
from broker.api.registry import load as load_apis
from broker.bill.biller import Biller
from broker.bill.focus import Subject
from broker.bill.prices import load_prices
from broker.bill.reading import read_counters
from broker.clock import Clock
from broker.exposed import readable
from broker.flags import Config, Listener
from broker.groups.coordinator import GroupCoordinator
from broker.guards import open_guards
from broker.http import HttpServer, Reply, Route
from broker.log import Logs, LogsConfig
from broker.meeting import meet
from broker.metadata import Metadata, Registration
from broker.metadata.database import MetadataUnavailable
from broker.metadata.image import PEER_LISTENER
from broker.metadata.secrets import SECRET_BYTES, peers_secret
from broker.metadata.urls import shown
from broker.objects import ObjectStore, open_store
from broker.server import Server
from broker.shares.shares import Shares
from broker.spot.leaving import Leaving
from broker.spot.watch import SpotWatch, asked
from broker.starting import CannotStart, open_port, printable
from broker.telemetry.counters import Counters
from broker.telemetry.exporting import exporting
from broker.telemetry.exposition import CONTENT_TYPE
from broker.telemetry.loopwatch import LoopWatch
from broker.telemetry.page import Identity, Metrics, Sources
from broker.telemetry.pushed import ClientTelemetry
from broker.telemetry.storage import StorageTimes
from broker.transactions.making import make_coordinator
from broker.turns import Turns
from broker.wal.holder import boot_id
from broker.wal.kinds import BESIDE_OBJECTS

_STOP_S = 15.0
"""For handing over and uploading; what is not done by then stays in the WAL, and nothing is lost."""
_LAST_BILL_S = 8.0
"""Its writer is a process of its own, whose start alone takes seconds where many brokers share a core."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a started broker is."""

    kafka: str
    http: str


class Node:
    """A broker's parts and their order."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self._started_ms = clock.wall_ms()
        self._tasks: set[asyncio.Task[None]] = set()
        self._counters = Counters(clock=clock, zone=config.zone, networks=config.zones)
        self._clients = ClientTelemetry(
            clock=clock,
            counters=self._counters,
            interval_s=int(config.static_configs().get("telemetry.push.interval.ms", "30000")) / 1000,
            configs=lambda: self._metadata.image.resource_configs,
        )
        self._times = StorageTimes()
        self._watch = LoopWatch(clock)
        self._turns = Turns(clock)
        self._serving = False
        self._page: Metrics | None = None
        self._biller: Biller | None = None
        self._wal_stores: dict[str, ObjectStore] = {}
        self._listeners: dict[str, tuple[str, int]] = {}

    async def start(self) -> Address:
        """Serves when it returns. CannotStart, or an error of the part that could not."""
        config = self.config
        self._make_directory()
        self._exporting = exporting(config, self._clock, self._serve_metrics, self.say)
        load_apis()
        self._store = open_store(
            config.objects,
            clock=self._clock,
            rng=random.Random(),
            bytes_per_s=config.store_bandwidth,
            beside_tail=config.catch_up_bandwidth,
        )
        self._metadata = await self._open_metadata()
        await self._meet()
        self._guards = await open_guards(config, self._metadata, self._secret, self._clock)
        self._logs = self._make_logs(self._store)
        self._groups = GroupCoordinator(
            metadata=self._metadata,
            clock=self._clock,
            broker_id=config.id,
            settings=config.groups,
            new_id=lambda: str(uuid.uuid4()),
        )
        self._shares = Shares(self._metadata, self._clock, config.id, self._groups, self._logs.find)
        self._transactions = make_coordinator(
            metadata=self._metadata,
            logs=self._logs,
            peers=self._neighbours.markers,
            clock=self._clock,
            broker_id=config.id,
            say=self.say,
        )
        self._spot = self._make_spot_watch()
        await self._logs.lock()
        http = await self._listen()
        await self._logs.start(self._registration(http))
        await self._groups.start()
        await self._transactions.start()
        self._spawn(self._shares.run())
        self._spawn(self._watch.run())
        if config.bill:
            self._biller = self._make_biller()
            self._spawn(self._biller.run())
        first = self._listeners[config.listeners[0].name]
        self._serving = True
        self._spot.start()
        return Address(kafka=f"{first[0]}:{first[1]}", http=http)

    async def failed(self) -> Exception:
        """Returns when the broker must not go on: its WAL failed, or the others declared it dead."""
        return await asyncio.shield(self._logs.failed)

    async def stop(self) -> None:
        """Hands over and leaves, in bounded time."""
        self._serving = False
        for part in (self._spot, self._groups, self._shares, self._transactions):
            await part.stop()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._logs.stop()
        except TimeoutError:
            self.say(f"not everything was uploaded within {_STOP_S:g} s; the WAL keeps it for the next start")
        await self._server.stop()
        await self._neighbours.stop()
        self._http.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._biller is not None:
            await self._biller.write(_LAST_BILL_S)
        await asyncio.to_thread(self._exporting.close)
        await self._metadata.close()

    async def _meet(self) -> None:
        fresh = os.urandom(SECRET_BYTES)
        self._secret = await self._metadata.write(lambda tx: peers_secret(tx, fresh))
        self._neighbours = meet(
            secret=self._secret,
            broker_id=self.config.id,
            tls=self.config.doors.between_brokers(),
            metadata=self._metadata,
            clock=self._clock,
            logs=lambda: self._logs,
            sent_near=self._counters.sent_near,
        )
        self._spawn(self._neighbours.keep_tls(self._clock))

    def say(self, text: str) -> None:
        """One line of narration."""
        print(f"broker {self.config.id}: {text}", file=sys.stderr, flush=True)

    def _make_directory(self) -> None:
        try:
            self.config.dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"--dir {self.config.dir}: {error.strerror}; give a directory you may write") from error
        if not os.access(self.config.dir, os.R_OK | os.W_OK | os.X_OK):
            raise CannotStart(f"--dir {self.config.dir}: not readable and writable; change its owner or give another")

    async def _open_metadata(self) -> Metadata:
        url = self.config.metadata
        try:
            return await Metadata.open(url, clock=self._clock, entropy=os.urandom)
        except MetadataUnavailable as error:
            raise CannotStart(f"--metadata {shown(url)}: {error}") from error

    def _wal_store(self, url: str) -> ObjectStore:
        """The store of a WAL URL: the objects' own, or another that is metered and billed with it."""
        if url == BESIDE_OBJECTS:
            return self._store
        if url not in self._wal_stores:
            self._wal_stores[url] = open_store(url, clock=self._clock, rng=random.Random())
            self._wal_stores[url].meter = self._store.meter
        return self._wal_stores[url]

    def _make_logs(self, store: ObjectStore) -> Logs:
        logs = Logs(
            self._metadata,
            store,
            wal_store=self._wal_store,
            clock=self._clock,
            entropy=os.urandom,
            broker_id=self.config.id,
            host_id=boot_id(),
            config=LogsConfig(
                wal_url=self.config.wal,
                broker_configs=self.config.static_configs(),
                wal_bytes=self.config.wal_bytes,
                pending_limit_bytes=self.config.pending_limit_bytes,
                tail_cache_bytes=self.config.tail_cache_bytes,
                block_cache_bytes=self.config.block_cache_bytes,
                read_ahead_bytes=self.config.read_ahead_bytes,
                wal_pace_s=self.config.wal_pace_s,
                upload_interval_s=self.config.upload_interval_s,
                snapshot_s=self.config.snapshot_interval_s,
            ),
            say=self.say,
            peers=self._neighbours.hints,
            turns=self._turns,
        )
        logs.stats.on_operation = self._exporting.beside(self._times.operation)
        logs.stats.on_upload_bytes = self._times.uploaded
        store.meter.on_request = self._store_request
        return logs

    def _make_spot_watch(self) -> SpotWatch:
        leaving = Leaving(
            self._metadata,
            self._clock,
            self.config.id,
            announce=self._logs.announce,
            figures=self._logs.stats,
            say=self.say,
        )
        return SpotWatch(asked(self.config.spot_notices, self._clock), leaving, self._clock, self.say)

    def _store_request(self, operation: str, status: str, seconds: float) -> None:
        if operation == "get":
            self._times.operation(operation, status, seconds)

    async def _listen(self) -> str:
        """Opens every port; the HTTP address."""
        settings = Settings(
            broker_id=self.config.id,
            zone=self.config.zone,
            configs=self.config.static_configs(),
            max_unknown_frame_bytes=self.config.doors.max_receive_bytes,
        )
        self._fetch_sessions = FetchSessions(
            clock=self._clock,
            new_id=lambda: secrets.randbits(31),
            slots=int(self.config.static_configs().get("max.incremental.fetch.session.cache.slots", "1000")),
        )
        self._server = Server(lambda connection: self._context(settings, connection), settings, self._clock)
        self._logs.stats.on_hold = self._server.hold_producers
        for listener in self.config.listeners:
            with open_port("--listeners", listener.host, listener.port):
                tls = self._guards.doors.tls(listener.name, self._counters.handshake_failed)
                bound = await self._server.listen(listener.name, listener.host, listener.port, tls)
            self._listeners[listener.name] = self._advertised(listener, bound[1])
        host, port = self.config.peer_listener
        with open_port("--inter-broker-listener", host, port):
            self._listeners[PEER_LISTENER] = (host, (await self._neighbours.server.listen(host, port))[1])
        for line in readable(self.config):
            self.say(line)
        urls: dict[str, Route] = {"/metrics": self._serve_metrics, "/healthz": self._health, "/readyz": self._readiness}
        self._http = HttpServer(urls, {admin.PREFIX: self._make_admin().serve})
        host = self.config.http_host
        with open_port("--http", host, self.config.http_port):
            bound = await self._http.listen(host, self.config.http_port)
        return f"http://{printable(host)}:{bound[1]}"

    def _make_admin(self) -> Admin:
        parts = Parts(id=self.config.id, metadata=self._metadata, logs=self._logs, clock=self._clock)
        return Admin(parts, Guard(host=self.config.http_host, token=read_token(self.config.admin_token_file)))

    def _advertised(self, listener: Listener, port: int) -> tuple[str, int]:
        told = self.config.advertised.get(listener.name, listener)
        return told.host, told.port or port

    def _context(self, settings: Settings, connection: ConnectionInfo) -> Context:
        connection.login = self._guards.doors.login(connection.listener)
        return Context(
            logs=self._logs,
            metadata=self._metadata,
            groups=self._groups,
            shares=self._shares,
            transactions=self._transactions,
            config=settings,
            clock=self._clock,
            meter=self._counters,
            turns=self._turns,
            fetch_sessions=self._fetch_sessions,
            telemetry=self._clients,
            near=self._neighbours.near,
            writers=self._neighbours.writers,
            connection=connection,
            access=self._guards.authorizer.access(connection),
            quotas=self._guards.quotas,
        )

    def _registration(self, http: str) -> Registration:
        return Registration(
            id=self.config.id,
            listeners=self._listeners,
            http=http,
            zone=self.config.zone,
            spot=self.config.spot,
            version=version("streampilot"),
            host_id=boot_id(),
            wal_url=self.config.wal,
            allow_host_durability=self.config.allow_host_durability,
        )

    def _make_biller(self) -> Biller:
        subject = Subject(
            cluster=self.config.cluster,
            broker=self.config.id,
            zone=self.config.zone,
            instance_type=self.config.instance_type,
            spot=self.config.spot,
            store=self.config.objects,
            volume_bytes=self._logs.stats.wal_capacity_bytes if self.config.wal.startswith("file:") else 0,
        )
        return Biller(
            directory=self.config.dir / "bill",
            subject=subject,
            prices=load_prices(),
            clock=self._clock,
            read=lambda: read_counters(self._store, self._logs, self._counters),
        )

    def _metrics(self) -> Metrics:
        identity = Identity(
            broker_id=self.config.id,
            cluster=self.config.cluster,
            zone=self.config.zone,
            version=version("streampilot"),
            spot=self.config.spot,
            host=socket.gethostname(),
            started_ms=self._started_ms,
        )
        sources = Sources(
            identity=identity,
            clock=self._clock,
            turns=self._turns,
            counters=self._counters,
            clients=self._clients,
            times=self._times,
            watch=self._watch,
            metadata=self._metadata,
            logs=self._logs,
            store=self._store,
            spot=self._spot,
        )
        return Metrics(sources)

    async def _serve_metrics(self) -> Reply:
        if self._page is None:
            self._page = self._metrics()
        return Reply(content_type=CONTENT_TYPE, text=await self._page.text())

    def _health(self) -> Reply:
        if self._logs.failed.done():
            return Reply(status=HTTPStatus.SERVICE_UNAVAILABLE, text=f"{self._logs.failed.result()}\n")
        return Reply(text="ok\n")

    def _readiness(self) -> Reply:
        if not (self._serving and self._logs.ready) or self._logs.failed.done():
            return Reply(status=HTTPStatus.SERVICE_UNAVAILABLE, text="starting or stopping\n")
        return Reply(text="ready\n")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
