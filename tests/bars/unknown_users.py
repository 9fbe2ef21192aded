"""`python -m tests.bars.unknown_users`: how long a refused login takes, of a user that exists and of one that does not.

One broker, with the delay of failed logins switched off (`connection.failed.authentication.delay.ms=0`), so that
nothing covers a difference. Per mechanism, logins with a wrong password and logins of unknown users take turns, each on
a connection of its own. The last line is the verdict; exit 0 when the medians are within a factor of two and the
answers do not differ.

    --tries N           of each kind and mechanism (default 200)
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from tests.broker.api.conftest import Broker, Wire

FACTOR = 2.0
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
Refused = tuple[int, str | None]


async def refused(broker: Broker, mechanism: str, name: str) -> tuple[float, Refused]:
    """Seconds that the broker took for its answers, without what the client computes in between; and the last."""
    wire = await broker.connect()
    try:
        await wire.ask(17, 1, mechanism=mechanism)
        if mechanism == "PLAIN":
            seconds, found = await timed(wire, f"\0{name}\0wrong".encode())
        else:
            bare = f"n={name},r=nonce"
            first_seconds, first = await timed(wire, f"n,,{bare}".encode())
            told = dict(piece.split("=", 1) for piece in first.auth_bytes.decode().split(","))
            seconds, found = await timed(wire, proof(HASHES[mechanism], bare, first.auth_bytes.decode(), told))
            seconds += first_seconds
        return seconds, (int(found.error_code), found.error_message)
    finally:
        wire.writer.close()


def proof(hash_name: str, bare: str, first: str, told: dict[str, str]) -> bytes:
    salted = hashlib.pbkdf2_hmac(hash_name, b"wrong", base64.b64decode(told["s"]), int(told["i"]))
    key = hmac.digest(salted, b"Client Key", hash_name)
    final = f"c=biws,r={told['r']}"
    signature = hmac.digest(hashlib.new(hash_name, key).digest(), f"{bare},{first},{final}".encode(), hash_name)
    return f"{final},p={base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()}".encode()


async def timed(wire: Wire, message: bytes) -> tuple[float, Any]:
    began = time.perf_counter()
    found = await wire.ask(36, 2, auth_bytes=message)
    return time.perf_counter() - began, found


async def measure(tries: int) -> bool:
    directory = Path(tempfile.mkdtemp(prefix="unknown-users-"))
    (directory / "users").write_text("".join(f"{each}=[name=known,password=right]\n" for each in HASHES))
    flags = ["--dir", str(directory), "--listeners", "SASL_PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    flags += ["--scram-credentials", str(directory / "users")]
    flags += ["--config", "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"]
    flags += ["--config", "connection.failed.authentication.delay.ms=0"]
    node = Node(parse(flags), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    good = True
    try:
        for mechanism in ("PLAIN", *HASHES):
            good &= await compare(broker, mechanism, tries)
    finally:
        await node.stop()
    return good


async def compare(broker: Broker, mechanism: str, tries: int) -> bool:
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    answers: dict[str, set[Refused]] = {"known": set(), "unknown": set()}
    for number in range(tries + 5):
        for kind, name in (("known", "known"), ("unknown", f"user{number}")):
            seconds, answer = await refused(broker, mechanism, name)
            answers[kind].add(answer)
            if number >= 5:
                took[kind].append(seconds)
    known, unknown = (statistics.median(each) for each in took.values())
    ratio = max(known, unknown) / min(known, unknown)
    alike = answers["known"] == answers["unknown"]
    print(
        f"{mechanism:14} wrong password {known * 1000:.2f} ms, unknown user {unknown * 1000:.2f} ms: {ratio:.2f}x;"
        f" answers {'alike' if alike else 'differ'}",
        flush=True,
    )
    return ratio <= FACTOR and alike


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bars.unknown_users")
    parser.add_argument("--tries", type=int, default=200)
    good = uvloop.run(measure(parser.parse_args().tries))
    print(f"{'PASS' if good else 'FAIL'}: within {FACTOR:g}x, medians of each kind")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
