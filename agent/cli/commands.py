"""The command lines that `up` starts its children with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """The flags of `streampilot up`."""

    brokers: int
    directory: Path
    port: int
    http_port: int
    agent_port: int | None
    """None: no agent."""
    objects: str
    wal: str
    metadata: str
    zones: tuple[str, ...]
    zone_cidrs: str
    cluster: str
    restart: bool
    time_scale: float
    scrape_interval: str
    broker_config: tuple[str, ...]
    upload_interval: float
    spot_notices: str
    config: str
    security: str
    """Kafka's security protocol of the clients' listeners."""
    scram_credentials: str
    command_config: str
    """How the agent comes in, where the listeners ask."""
    exit_with_parent: bool


def broker_command(options: UpOptions, number: int, kafka_port: int, http_port: int) -> list[str]:
    """What starts broker `number`, on any later day too; without `--exit-with-parent`, so that a person may run it."""
    command = [sys.executable, "-m", "agent.cli", "broker", "--id", str(number), "--dir", str(options.directory)]
    command += ["--cluster", options.cluster, "--zone", options.zones[number % len(options.zones)]]
    command += ["--listeners", f"{options.security}://127.0.0.1:{kafka_port}", "--http", f"127.0.0.1:{http_port}"]
    if options.objects:
        command += ["--objects", options.objects]
    if options.wal:
        command += ["--wal", wal_of(options.wal, number)]
    if options.metadata:
        command += ["--metadata", options.metadata]
    if options.zone_cidrs:
        command += ["--zones", options.zone_cidrs]
    if options.upload_interval:
        command += ["--upload-interval", f"{options.upload_interval:g}"]
    if options.spot_notices:
        command += ["--spot-notices", options.spot_notices]
    if options.scram_credentials:
        command += ["--scram-credentials", options.scram_credentials]
    for pair in options.broker_config:
        command += ["--config", pair]
    return command


def wal_of(url: str, number: int) -> str:
    """A directory is split by broker; a bucket's prefix is not, because its slots are named by broker already."""
    split = urlsplit(url)
    if split.scheme != "file":
        return url
    return urlunsplit(split._replace(path=f"{split.path.rstrip('/')}/{number}"))


def agent_command(options: UpOptions, kafka: list[str], metrics: list[str], port: int) -> list[str]:
    """What starts the agent: public flags only, the ones a user has for any cluster."""
    command = [sys.executable, "-m", "agent.cli", "agent", "--bootstrap-servers", ",".join(kafka)]
    for url in metrics:
        command += ["--metrics", url]
    command += ["--dir", str(options.directory / "agent"), "--token-file", str(options.directory / "token")]
    command += ["--port", str(port), "--bill", str(options.directory / "bill")]
    command += ["--time-scale", f"{options.time_scale:g}", "--scrape-interval", options.scrape_interval]
    command += ["--cluster", options.cluster]
    if options.command_config:
        command += ["--command-config", options.command_config]
    return command + (["--config", options.config] if options.config else [])
