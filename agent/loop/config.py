"""The agent's configuration: `streampilot.toml`, then the environment, then flags; the later one wins.

An unknown key is an error that names the nearest known one, and so is a key that nothing acts on yet: a setting that
is silently ignored is worse than an agent that does not start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agent.loop import checked
from agent.loop.addresses import bucket, endpoint, host_port
from agent.loop.cluster_config import ClusterConfig, clusters_of, path_of, placed_by
from agent.loop.refused import Refused
from agent.loop.units import bytes_of, seconds_of
from agent.promql.query import EDGES
from agent.promql.query import Settings as PromqlSettings

PREFIX = "STREAMPILOT_"
DEFAULT_LISTEN = "127.0.0.1:8099"

KEYS: dict[str, frozenset[str]] = {
    "agent": frozenset(
        [
            "dir",
            "listen",
            "token_file",
            "mode",
            "scrape_interval",
            "scrape_timeout",
            "memory_limit",
            "retention_raw",
            "retention_rollup",
            "max_disk",
            "time_scale",
            "insecure",
            "tls_cert",
            "tls_key",
            "otlp_endpoint",
            "roll_off",
        ]
    ),
    "cluster": frozenset(
        [
            "name",
            "bootstrap_servers",
            "command_config",
            "kind",
            "metrics",
            "cores",
            "instance_type",
            "bill",
            "prices",
            "discovery",
            "zones",
            "timezone",
        ]
    ),
    "promql": frozenset({"range_edge", "max_samples", "timeout"}),
    "rules": frozenset({"paths", "disabled", "override"}),
    "mute": frozenset({"resource", "rule", "owner", "reason", "from", "until"}),
    "maintenance": frozenset({"resource", "rule", "owner", "reason", "from", "until"}),
    "act": frozenset({"allow", "caps", "second_person", "stall_timeout", "throttle"}),
    "llm": frozenset({"base_url", "model", "key_env", "redact"}),
}
UNUSED: dict[str, frozenset[str]] = {
    "notify": frozenset({"kind", "url", "levels"}),
}
"""Keys with a meaning to come: refused by name, for nothing would happen."""
MODES = ("act", "read-only")
MOST_TIMEOUT_S = 4.0
LEAST_MEMORY = 64 << 20
_LISTS = frozenset({"cluster", "mute", "maintenance", "notify"})


@dataclass(frozen=True, kw_only=True)
class LlmConfig:
    """Where words may come from; an empty base_url means the deterministic explainer alone."""

    base_url: str
    model: str
    key_env: str
    redact: bool


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Everything `streampilot agent` was told, in units."""

    dir: Path
    host: str
    port: int
    token_file: Path
    scrape_interval_s: float
    scrape_timeout_s: float
    """For one target; a round waits for the slowest."""
    mode: str
    """`act`, or `read-only`: nobody can approve anything."""
    memory_limit_bytes: int
    """For the sample store's database."""
    retention_raw_s: float
    """For samples and snapshots."""
    retention_rollup_s: float
    """For five-minute rollups."""
    max_disk_bytes: int
    """For samples, rollups and the database together."""
    roll_off: str
    """The bucket that closed hours go to; empty: they stay in `dir`."""
    take_over: bool
    """Of this start alone: `roll_off` may be taken from an agent that seems to be alive."""
    time_scale: float
    insecure: bool
    tls_cert: Path | None
    tls_key: Path | None
    clusters: tuple[ClusterConfig, ...]
    rule_paths: tuple[Path, ...]
    rules_disabled: frozenset[str]
    overrides: Mapping[str, Mapping[str, Any]]
    mutes: tuple[Mapping[str, Any], ...]
    maintenance: tuple[Mapping[str, Any], ...]
    allow: tuple[str, ...]
    caps: Mapping[str, Any]
    second_person: bool
    throttle_bytes_per_s: int
    """What a move may copy, at any broker."""
    stall_timeout_s: float
    """How long a copy may stand still."""
    llm: LlmConfig
    otlp_endpoint: str
    """Where the agent's own traces and metrics go; empty: where OpenTelemetry's environment variables say."""
    promql: PromqlSettings
    """How the Prometheus API answers."""
    source: str = field(default="defaults")
    """The file it came from, for people."""


def load(path: str, environment: Mapping[str, str], flags: Mapping[str, Any]) -> AgentConfig:
    """Reads the file (`path`, or ./streampilot.toml when there is one), then the environment, then the flags."""
    file = Path(path) if path else Path("streampilot.toml")
    tables = _read(file) if path or file.exists() else {}
    source = str(file) if tables else "flags and environment"
    check_keys(tables, source)
    _merge_environment(tables, environment)
    _merge_flags(tables, flags)
    try:
        return _build(tables, source)
    except (TypeError, AttributeError) as error:
        raise Refused(f"{file}: a value has the wrong type: {error}", "compare it with docs/config.md") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise Refused(f"no config file {file}", "check --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{file} is not valid TOML: {error}", "correct that line") from error
    except OSError as error:
        raise Refused(f"cannot read {file}: {error.strerror}", "check --config") from error


def check_keys(tables: Mapping[str, Any], source: str) -> None:
    """Refused for the first table or key that nobody reads, with the nearest known one."""
    for table, value in tables.items():
        if table in UNUSED and table not in KEYS:
            raise _unused(f"[[{table}]]" if table in _LISTS else f"[{table}]", source)
        if table not in KEYS:
            raise _unknown(f"table [{table}]", table, KEYS, source)
        rows = value if isinstance(value, list) else [value]
        if (table in _LISTS) != isinstance(value, list):
            right = f"[[{table}]]" if table in _LISTS else f"[{table}]"
            raise Refused(f"{source}: {table} must be written {right}", "correct the header")
        for row in rows:
            if not isinstance(row, dict):
                raise Refused(f"{source}: [{table}] must hold key = value lines", "correct the table")
            for key in row:
                if key in UNUSED.get(table, ()):
                    raise _unused(f"[{table}] {key}", source)
                if key not in KEYS[table]:
                    raise _unknown(f"key {table}.{key}", key, KEYS[table], source)


def _unused(what: str, source: str) -> Refused:
    return Refused(f"{source}: {what} is not used by this version", "remove it")


def _unknown(what: str, name: str, known: Any, source: str) -> Refused:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return Refused(f"{source}: unknown {what}", f"the nearest known one is {near[0]}" if near else "")


def _merge_environment(tables: dict[str, Any], environment: Mapping[str, str]) -> None:
    """`STREAMPILOT_AGENT__LISTEN=...`: table and key, parsed as TOML where it parses, else taken as text."""
    for name, text in sorted(environment.items()):
        table, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if not name.startswith(PREFIX) or not separator:
            continue
        check_keys({table: [{key: text}] if table in _LISTS else {key: text}}, f"environment variable {name}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        if table in _LISTS:
            rows = tables.setdefault(table, [{}])
            rows[0][key] = value
        else:
            tables.setdefault(table, {})[key] = value


def _merge_flags(tables: dict[str, Any], flags: Mapping[str, Any]) -> None:
    agent = tables.setdefault("agent", {})
    for key in (
        "dir",
        "listen",
        "token_file",
        "scrape_interval",
        "scrape_timeout",
        "time_scale",
        "insecure",
        "tls_cert",
        "tls_key",
        "otlp_endpoint",
    ):
        if flags.get(key) and not (key == "time_scale" and flags[key] == 1.0):
            agent[key] = flags[key]
    if flags.get("take_over"):
        agent["take_over"] = True
    if flags.get("port") is not None:
        host = str(agent.get("listen", DEFAULT_LISTEN)).rpartition(":")[0]
        agent["listen"] = f"{host}:{flags['port']}"
    if flags.get("bootstrap_servers"):
        tables.setdefault("cluster", [{}])
    if not tables.get("cluster"):
        return
    named = [row for row in tables["cluster"] if flags.get("cluster") and row.get("name") == flags["cluster"]]
    first = (named or tables["cluster"])[0]
    for flag, key in (
        ("bootstrap_servers", "bootstrap_servers"),
        ("command_config", "command_config"),
        ("bill", "bill"),
        ("cluster", "name"),
    ):
        if flags.get(flag):
            first[key] = flags[flag]
    if flags.get("metrics"):
        first["metrics"] = [_target(text) for text in flags["metrics"]]


def _target(text: str) -> dict[str, str]:
    """`URL`, or `ID=URL`."""
    head, equals, tail = text.partition("=")
    named = bool(equals) and "/" not in head
    url = tail if named else text
    if not url.startswith(("http://", "https://")):
        raise Refused(f"--metrics {text!r} is not a URL", "write http://HOST:PORT/metrics, or ID=URL")
    return {"url": url, "broker": head} if named else {"url": url}


def _build(tables: Mapping[str, Any], source: str) -> AgentConfig:
    agent, rules = tables.get("agent", {}), tables.get("rules", {})
    act, llm = tables.get("act", {}), tables.get("llm", {})
    directory = Path(str(agent.get("dir", "streampilot-data/agent"))).absolute()
    host, port = host_port(str(agent.get("listen", DEFAULT_LISTEN)))
    scale = float(agent.get("time_scale", 1.0))
    interval = seconds_of(agent.get("scrape_interval", "5s"), "agent.scrape_interval")
    if scale <= 0 or interval < 0.2:
        raise Refused(
            f"time_scale {scale:g} or scrape_interval {interval:g}s is too small",
            "use at least 0.2s, and a scale above 0",
        )
    timeout = seconds_of(agent.get("scrape_timeout", f"{default_timeout_s(interval):g}s"), "agent.scrape_timeout")
    mode = str(agent.get("mode", MODES[0]))
    if mode not in MODES:
        raise Refused(f"agent.mode = {mode!r} is no mode", f"the modes are {', '.join(MODES)}")
    memory_bytes = bytes_of(agent.get("memory_limit", "256MB"), "agent.memory_limit")
    if memory_bytes < LEAST_MEMORY:
        raise Refused(f"agent.memory_limit is {memory_bytes} bytes, too few to work with", "give it 64MiB or more")
    clusters = clusters_of(tables.get("cluster", []), source)
    return AgentConfig(
        dir=directory,
        host=host,
        port=port,
        token_file=Path(str(agent.get("token_file", directory / "token"))).absolute(),
        scrape_interval_s=interval,
        scrape_timeout_s=timeout,
        mode=mode,
        memory_limit_bytes=memory_bytes,
        retention_raw_s=seconds_of(agent.get("retention_raw", "15d"), "agent.retention_raw"),
        retention_rollup_s=seconds_of(agent.get("retention_rollup", "400d"), "agent.retention_rollup"),
        max_disk_bytes=bytes_of(agent.get("max_disk", "10GiB"), "agent.max_disk"),
        time_scale=scale,
        insecure=checked.yes(agent.get("insecure", False), "agent.insecure"),
        tls_cert=path_of(agent.get("tls_cert")),
        tls_key=path_of(agent.get("tls_key")),
        clusters=clusters,
        rule_paths=tuple(Path(path) for path in checked.texts(rules.get("paths", []), "rules.paths")),
        rules_disabled=frozenset(checked.texts(rules.get("disabled", []), "rules.disabled")),
        overrides=dict(rules.get("override", {})),
        mutes=tuple(
            checked.quiet(placed_by(row, clusters, source), f"{source}: [[mute]]") for row in tables.get("mute", [])
        ),
        maintenance=tuple(
            checked.quiet(placed_by(row, clusters, source), f"{source}: [[maintenance]]")
            for row in tables.get("maintenance", [])
        ),
        allow=checked.actions(act.get("allow", ["MovePartitions", "AlterTopic"]), "act.allow"),
        caps=dict(act.get("caps", {})),
        throttle_bytes_per_s=checked.throttle(bytes_of(act.get("throttle", "50MiB"), "act.throttle")),
        stall_timeout_s=seconds_of(act.get("stall_timeout", "10m"), "act.stall_timeout"),
        second_person=checked.yes(act.get("second_person", False), "act.second_person"),
        llm=LlmConfig(
            base_url=str(llm.get("base_url", "")),
            model=str(llm.get("model", "")),
            key_env=str(llm.get("key_env", "OPENAI_API_KEY")),
            redact=checked.yes(llm.get("redact", True), "llm.redact"),
        ),
        roll_off=bucket(str(agent.get("roll_off", ""))),
        take_over=agent.get("take_over") is True,
        otlp_endpoint=endpoint(str(agent.get("otlp_endpoint", ""))),
        promql=_promql(tables.get("promql", {})),
        source=source,
    )


def default_timeout_s(interval_s: float) -> float:
    """Below the interval, so that a target that hangs is a gap within two intervals."""
    return min(MOST_TIMEOUT_S, max(0.5, 0.8 * interval_s))


def _promql(table: Mapping[str, Any]) -> PromqlSettings:
    usual = PromqlSettings()
    edge = str(table.get("range_edge", usual.range_edge))
    if edge not in EDGES:
        raise Refused(f"promql.range_edge = {edge!r} is no edge", f"it is one of {', '.join(EDGES)}")
    most, timeout_s = int(table.get("max_samples", usual.most_samples)), usual.timeout_s
    if table.get("timeout") is not None:
        timeout_s = seconds_of(table["timeout"], "promql.timeout")
    if most < 1 or timeout_s <= 0:
        raise Refused(f"promql.max_samples {most} or timeout {timeout_s:g}s is too small", "both are above 0")
    return PromqlSettings(range_edge=EDGES[edge], most_samples=most, timeout_s=timeout_s)
