"""`discovery` of a `[[cluster]]`: one table or several, each of a kind, with the keys that kind has and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.collect.discovery.cluster import ClusterFinder
from agent.collect.discovery.files import FileFinder
from agent.collect.discovery.finder import Finder
from agent.collect.discovery.kubernetes import ACCOUNT, KubernetesFinder, Pods
from agent.loop.refused import Refused

KEYS: Mapping[str, frozenset[str]] = {
    "cluster": frozenset({"port", "path", "scheme"}),
    "file": frozenset({"files"}),
    "kubernetes": frozenset(
        {"namespace", "selector", "port", "path", "scheme", "broker", "api", "token_file", "ca_file"}
    ),
}


@dataclass(frozen=True, kw_only=True)
class DiscoveryConfig:
    """One way of finding targets, checked."""

    kind: str
    options: Mapping[str, Any]


def discovery_config(value: Any, source: str) -> tuple[DiscoveryConfig, ...]:
    """What `discovery` says; Refused for a kind or key that does not exist."""
    rows = value if isinstance(value, list) else [value] if value else []
    return tuple(_one(row, source) for row in rows)


def _one(row: Any, source: str) -> DiscoveryConfig:
    kind = str(row.get("kind")) if isinstance(row, dict) else str(row)
    if kind not in KEYS:
        raise Refused(f"{source}: discovery of kind {kind!r}", f"the kinds are {', '.join(KEYS)}")
    options = {key: value for key, value in row.items() if key != "kind"}
    if unknown := sorted(set(options) - KEYS[kind]):
        raise Refused(
            f"{source}: discovery of kind {kind} has no {unknown[0]}", f"it has {', '.join(sorted(KEYS[kind]))}"
        )
    if options.get("scheme", "http") not in ("http", "https"):
        raise Refused(f"{source}: discovery.scheme = {options['scheme']!r}", "it is http or https")
    needed: tuple[str, ...] = {"file": ("files",), "kubernetes": ("selector", "port")}.get(kind, ())
    for key in needed:
        if not options.get(key):
            raise Refused(f"{source}: discovery of kind {kind} needs {key}", "see docs/sources.md")
    port = options.get("port", 1)
    if (isinstance(port, int) and not 0 < port < 65536) or (kind == "cluster" and not isinstance(port, int)):
        raise Refused(f"{source}: discovery.port = {port!r} is no port", "it is a number up to 65535")
    broker = str(options.get("broker", ""))
    if broker not in ("", "ordinal") and not broker.startswith("label:"):
        raise Refused(f"{source}: discovery.broker = {broker!r}", "it is ordinal or label:NAME")
    return DiscoveryConfig(kind=kind, options=options)


def finder_of(config: DiscoveryConfig, environment: Mapping[str, str]) -> Finder:
    """The finder; Refused where Kubernetes is asked for outside of it and no `api` is given."""
    options = config.options
    path, scheme = str(options.get("path", "/metrics")), str(options.get("scheme", "http"))
    if config.kind == "file":
        return FileFinder(str(Path(str(options["files"])).absolute()))
    if config.kind == "cluster":
        return ClusterFinder(port=options.get("port"), path=path, scheme=scheme)
    port = options["port"]
    return KubernetesFinder(
        Pods(
            api=_api(options, environment),
            namespace=_namespace(options),
            selector=str(options["selector"]),
            port=port if isinstance(port, int) else str(port),
            path=path,
            scheme=scheme,
            broker=str(options.get("broker", "")),
            token_file=Path(str(options.get("token_file", ACCOUNT / "token"))),
            ca_file=Path(str(options.get("ca_file", ACCOUNT / "ca.crt"))),
        )
    )


def _api(options: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    if options.get("api"):
        return str(options["api"]).rstrip("/")
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise Refused("discovery of kind kubernetes, and this is no pod", "give discovery.api, token_file and ca_file")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _namespace(options: Mapping[str, Any]) -> str:
    if options.get("namespace"):
        return str(options["namespace"])
    try:
        return (ACCOUNT / "namespace").read_text("utf-8").strip()
    except OSError:
        raise Refused("discovery of kind kubernetes without a namespace", "give discovery.namespace") from None
