"""What the brokers say of a client on `/metrics`. A cell's clients have the ground's name as client id."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

from tests.clients.cells import Ground

_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_PATIENCE_S = 10.0


def samples(address: str, metric: str, client_id: str) -> list[tuple[dict[str, str], float]]:
    """One broker's series of that metric for that client."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=_PATIENCE_S) as answer:
        text = answer.read().decode()
    found = ((name, dict(_LABEL.findall(labels)), float(value)) for name, labels, value in _SAMPLE.findall(text))
    return [(labels, value) for name, labels, value in found if name == metric and labels.get("client_id") == client_id]


def batches_by_codec(ground: Ground) -> Counter[str]:
    """Batches that the client produced, over all brokers."""
    counted: Counter[str] = Counter()
    for address in ground.http:
        for labels, value in samples(address, "streampilot_client_batches_total", ground.name):
            counted[labels["codec"]] += int(value)
    return counted


def bytes_read_from(ground: Ground, broker: int) -> float:
    """Record bytes that the client read from that broker."""
    found = samples(ground.http[broker], "streampilot_client_io_bytes_total", ground.name)
    return sum(value for labels, value in found if labels["direction"] == "fetch")
