"""kafkajs, of Node: told what to do over loopback, see remote.py.

The other Node client, @confluentinc/kafka-javascript, is librdkafka, which confluent-kafka stands for here; its package
compiles it where no prebuilt binary can be had.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.clients.cells import COLUMNS, Cell, Ground
from tests.clients.driver import CODECS
from tests.clients.remote import Remote
from tests.clients.usual import cells

NAME = "kafkajs"
CANNOT = {"kip848": "the client knows the classic protocol only"}
SETTINGS = {
    "consume": "it reads in groups only: one of its own, in which nothing is committed",
    "idempotence": "idempotent: true, maxInFlightRequests: 1",
    "transactions": "transactionalId, idempotent: true, maxInFlightRequests: 1",
    "codecs": "kafkajs-snappy; lz4 by lz4-napi and zstd by @bokuweb/zstd-wasm, as CompressionCodecs",
    "large": "maxBytesPerPartition",
    "near": "rackId",
}
_SOURCES = Path(__file__).with_name("node")
_HOME = Path(__file__).resolve().parents[2] / ".work/clients/node"
_INSTALL_S = 300.0


def version() -> str:
    told: str = json.loads((_HOME / "node_modules/kafkajs/package.json").read_text())["version"]
    return told


def available() -> str:
    if not shutil.which("node"):
        return "no Node: apt-get install nodejs npm"
    if not (_HOME / "node_modules/kafkajs").exists():
        return "kafkajs is not installed: `python -m tests.clients.prepare` gets it (needs npm)"
    return ""


def install() -> None:
    """Into .work, from package.json."""
    _HOME.mkdir(parents=True, exist_ok=True)
    wanted = (_SOURCES / "package.json").read_text()
    have = _HOME / "installed.json"
    if have.exists() and have.read_text() == wanted:
        return
    (_HOME / "package.json").write_text(wanted)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
    subprocess.run(command, cwd=_HOME, check=True, timeout=_INSTALL_S)
    have.write_text(wanted)


def _serving(_: Ground) -> list[str]:
    return ["env", f"NODE_PATH={_HOME / 'node_modules'}", "node", str(_SOURCES / "serving.js")]


DRIVER = Remote(command=_serving)
CELLS: dict[str, Cell] = {
    **cells(DRIVER, (column for column in COLUMNS if column != "admin" and column not in CANNOT), CODECS),
    "admin": DRIVER.admin,
}
