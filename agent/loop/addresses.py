"""Addresses in the configuration: checked where they are read, so that a wrong one is refused at the start."""

from __future__ import annotations

from urllib.parse import urlsplit

from agent.loop.refused import Refused
from agent.store.bucket import SCHEMES


def bucket(url: str) -> str:
    """`roll_off`."""
    if url and (urlsplit(url).scheme not in SCHEMES or not urlsplit(url).netloc):
        raise Refused(f"agent.roll_off = {url!r} is no bucket", "write it like s3://BUCKET/PREFIX, gs:// or az://")
    return url


def endpoint(url: str) -> str:
    """`otlp_endpoint`."""
    if url and not url.startswith(("http://", "https://")):
        raise Refused(f"agent.otlp_endpoint = {url!r} is no URL", "write it like http://127.0.0.1:4318")
    return url


def host_port(text: str) -> tuple[str, int]:
    """`HOST:PORT`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise Refused(f"{text!r} is not host:port", "write it like 127.0.0.1:9092")
    return host.strip("[]"), int(port)
