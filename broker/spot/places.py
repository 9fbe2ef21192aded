"""Whom `--spot-notices` names: a cloud, a cloud at another address, or a URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

URL = "url"
_LINK_LOCAL = "http://169.254.169.254"
BASES = {"aws": _LINK_LOCAL, "gcp": _LINK_LOCAL, "azure": _LINK_LOCAL, "alibaba": "http://100.100.100.200"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Who is asked, and where."""

    source: str
    """aws, gcp, azure, alibaba or url."""
    address: str
    """What comes before the paths of a cloud's service; of a URL, all of it."""


def parse(text: str, broker: int) -> Place | None:
    """`aws`, `gcp`, `azure`, `alibaba`, one of them with `=http://host:port`, or a URL; `{id}` in it is the broker's.

    None for an empty text. ValueError says what else to write.
    """
    if not text:
        return None
    source, equals, rest = text.partition("=")
    if source in BASES:
        address = rest.rstrip("/") if equals else BASES[source]
    else:
        source, address = URL, text
    address = address.replace("{id}", str(broker))
    if not _is_http(address):
        raise ValueError(f"{text}: write {', '.join(BASES)}, one of them with =http://host:port, or an http URL")
    return Place(source=source, address=address)


def _is_http(address: str) -> bool:
    try:
        split = urlsplit(address)
        printable = address.isascii() and address.isprintable() and " " not in address
        return printable and split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        return False
