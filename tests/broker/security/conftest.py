"""A broker with whatever doors a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from tests.broker.api.conftest import Broker
from tests.broker.security.certificates import Authority

Start = Callable[..., Awaitable[Broker]]
USERS = "SCRAM-SHA-512=[name=admin,password=admin-secret]\nSCRAM-SHA-256=[name=alice,password=al=ice,s]\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a broker: `start("SASL_SSL", sasl_enabled_mechanisms="PLAIN", ...)`; users admin and alice exist."""
    started: list[Broker] = []
    (tmp_path / "users").write_text(USERS)

    async def begin(listener: str, **configs: str) -> Broker:
        flags = ["--dir", str(tmp_path), "--listeners", f"{listener}://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
        flags += ["--scram-credentials", str(tmp_path / "users")]
        for name, value in configs.items():
            flags += ["--config", f"{name.replace('_', '.')}={value}"]
        node = Node(parse(flags), SystemClock())
        started.append(Broker(node, (await node.start()).kafka))
        return started[-1]

    yield begin
    for broker in started:
        await broker.hang_up()
        await broker.node.stop()
