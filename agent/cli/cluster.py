"""`up` and `agent`: what stays running. Options only; the work is in `up.py` and `daemon.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.complaint import Complaint

PLAINTEXT = "PLAINTEXT"
SECURITY = (PLAINTEXT, "SSL", "SASL_PLAINTEXT", "SASL_SSL")
"""What a listener may be."""
Scale = Annotated[
    float, typer.Option(help="Divide every duration of the rule pages by this; never the scrape interval.")
]


def register(app: typer.Typer) -> None:
    """Adds `up` and `agent`."""
    app.command("up", help="A cluster and its agent, until Ctrl-C; a JSON line when ready.")(_up)
    app.command("agent", help="Watch any cluster; it only reads until a plan is approved.")(_agent)


def _up(
    brokers: Annotated[int, typer.Option(min=1, max=64, help="How many brokers.")] = 3,
    directory: Annotated[Path, typer.Option("--dir", help="Where everything is kept.")] = Path("streampilot-data"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Kafka port of the first broker; 0 for free ones.")
    ] = 9092,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="HTTP port of the first broker; 0 for free ones.")
    ] = 0,
    agent_port: Annotated[int, typer.Option(min=0, max=65535, help="The agent's HTTP port; 0 for a free one.")] = 8099,
    no_agent: Annotated[bool, typer.Option("--no-agent", help="Brokers only.")] = False,
    objects: Annotated[str, typer.Option(help="Object store URL (default: file://DIR/objects).")] = "",
    wal: Annotated[str, typer.Option(help="WAL URL (default: file://DIR/wal/ID); a file URL gets /ID added.")] = "",
    metadata: Annotated[str, typer.Option(help="Metadata URL (default: sqlite://DIR/metadata.db).")] = "",
    zones: Annotated[str, typer.Option(help="Zones, given to the brokers in turn.")] = "zone-a,zone-b,zone-c",
    zone_cidrs: Annotated[
        str, typer.Option("--zone-cidrs", help="CIDR=ZONE,... by which clients' zones are known.")
    ] = "",
    cluster: Annotated[str, typer.Option(help="The cluster's name.")] = "local",
    restart: Annotated[bool, typer.Option("--restart", help="Start a broker again when it dies.")] = False,
    time_scale: Scale = 1.0,
    scrape_interval: Annotated[str, typer.Option(help="The agent's scrape interval.")] = "5s",
    broker_config: Annotated[list[str], typer.Option(help="key=value for every broker; repeatable.")] = [],  # noqa: B006
    upload_interval: Annotated[float, typer.Option(min=0.0, help="Seconds between uploads; 0 for the default.")] = 0.0,
    spot_notices: Annotated[
        str, typer.Option(help="Who tells a broker that its machine will be taken away: as `broker --spot-notices`.")
    ] = "",
    config: Annotated[str, typer.Option(help="streampilot.toml for the agent.")] = "",
    security: Annotated[
        str, typer.Option(help="What guards the brokers' listeners: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    ] = PLAINTEXT,
    scram_credentials: Annotated[
        str, typer.Option(help="File with the first users, a line each: SCRAM-SHA-512=[name=admin,password=...].")
    ] = "",
    command_config: Annotated[
        str, typer.Option(help="Kafka's client.properties, by which the agent comes in where --security asks.")
    ] = "",
    exit_with_parent: Annotated[bool, typer.Option("--exit-with-parent", hidden=True)] = False,
) -> int:
    from agent.cli.commands import UpOptions
    from agent.cli.up import bring_up

    if security not in SECURITY:
        raise Complaint(f"--security {security} is none of Kafka's", f"choose one of {', '.join(SECURITY)}")
    if security != PLAINTEXT and not (command_config or no_agent):
        raise Complaint(
            f"--security {security}: the agent has to come in too",
            "give it --command-config FILE (a client.properties), or start without: --no-agent",
        )

    names = tuple(name.strip() for name in zones.split(",") if name.strip())
    if not names:
        raise Complaint("--zones names no zone", "pass at least one: --zones zone-a")
    return bring_up(
        UpOptions(
            brokers=brokers,
            directory=directory.absolute(),
            port=port,
            http_port=http_port,
            agent_port=None if no_agent else agent_port,
            objects=objects,
            wal=wal,
            metadata=metadata,
            zones=names,
            zone_cidrs=zone_cidrs,
            cluster=cluster,
            restart=restart,
            time_scale=time_scale,
            scrape_interval=scrape_interval,
            broker_config=tuple(broker_config),
            upload_interval=upload_interval,
            spot_notices=spot_notices,
            config=config,
            security=security,
            scram_credentials=scram_credentials and str(Path(scram_credentials).absolute()),
            command_config=command_config and str(Path(command_config).absolute()),
            exit_with_parent=exit_with_parent,
        )
    )


def _agent(
    bootstrap_servers: Annotated[str, typer.Option(help="host:port[,host:port...] of the cluster.")] = "",
    metrics: Annotated[list[str], typer.Option(help="A broker's /metrics: URL, or ID=URL; repeatable.")] = [],  # noqa: B006
    bill: Annotated[str, typer.Option(help="FOCUS bill: a file or a directory.")] = "",
    directory: Annotated[str, typer.Option("--dir", help="Where samples, state and token are kept.")] = "",
    port: Annotated[int, typer.Option(min=-1, max=65535, help="HTTP port (default 8099); 0 for a free one.")] = -1,
    listen: Annotated[str, typer.Option(help="host:port to serve on (default 127.0.0.1:8099).")] = "",
    cluster: Annotated[str, typer.Option(help="The cluster's name in resource ids (default: its Kafka id).")] = "",
    command_config: Annotated[str, typer.Option(help="Kafka's client.properties, for SASL and TLS.")] = "",
    time_scale: Scale = 1.0,
    scrape_interval: Annotated[str, typer.Option(help="How often to scrape (default 5s).")] = "",
    token_file: Annotated[str, typer.Option(help="The token for writes (default: DIR/token).")] = "",
    config: Annotated[str, typer.Option(help="streampilot.toml (default: the one in this folder, if any).")] = "",
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve away from loopback without TLS.")] = False,
    tls_cert: Annotated[str, typer.Option(help="TLS certificate, PEM.")] = "",
    tls_key: Annotated[str, typer.Option(help="TLS key, PEM.")] = "",
    otlp_endpoint: Annotated[str, typer.Option(help="Send own traces and metrics there, OTLP over HTTP.")] = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take roll_off's prefix from an agent that is dead.")
    ] = False,
    exit_with_parent: Annotated[bool, typer.Option("--exit-with-parent", hidden=True)] = False,
) -> int:
    from agent.cli.daemon import watch

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "metrics": list(metrics),
        "bill": bill,
        "dir": directory,
        "listen": listen,
        "port": None if port < 0 else port,
        "cluster": cluster,
        "command_config": command_config,
        "scrape_interval": scrape_interval,
        "token_file": token_file,
        "time_scale": time_scale,
        "insecure": insecure,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "otlp_endpoint": otlp_endpoint,
        "take_over": take_over,
    }
    return watch(config, flags, exit_with_parent=exit_with_parent)
