"""The daemon on real brokers: a cluster that never answers and one that is not there yet hold up no third one."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from agent.cli.daemon import run
from agent.loop.config import load
from agent.loop.fleet import make_fleet
from agent.model.clock import SystemClock
from agent.serve.access import Door
from agent.serve.server import bind
from tests.faults.brokers import SMALL
from tests.ports import free_port

PATIENCE_S = 90


@pytest.fixture
def silent():
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield "{}:{}".format(*listener.getsockname())


@contextlib.contextmanager
def broker(folder, port):
    command = [sys.executable, "-m", "broker.main", "--id", "0", "--dir", str(folder), "--http", "127.0.0.1:0", *SMALL]
    with subprocess.Popen(
        [*command, "--listeners", f"PLAINTEXT://127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield json.loads(process.stdout.readline())["kafka"]
        finally:
            process.terminate()
            process.wait(30)


async def until(http, holds):
    """The status, once it is so."""
    for _ in range(int(PATIENCE_S / 0.1)):
        with contextlib.suppress(httpx.TransportError):
            each = (await http.get("/api/status")).json()["each"]
            if holds(each):
                return each
        await asyncio.sleep(0.1)
    raise AssertionError(f"it did not become so: {each}")


def admin(known):
    return {row["target"]: row["up"] for row in known["sources"]}.get("admin")


async def test_a_cluster_that_is_away_or_silent_delays_no_other_and_is_taken_up_when_it_comes(tmp_path, silent):
    port = free_port()
    with broker(tmp_path / "here", 0) as here, bind("127.0.0.1", 0) as listener:
        addresses = {"silent": silent, "late": f"127.0.0.1:{port}", "here": here}
        file = tmp_path / "streampilot.toml"
        tables = [f'[[cluster]]\nname = "{name}"\nbootstrap_servers = "{at}"\n' for name, at in addresses.items()]
        file.write_text("".join([f'[agent]\ndir = "{tmp_path}/agent"\nscrape_interval = "500ms"\n', *tables]))
        config = load(str(file), {}, {})
        fleet, door = make_fleet(config, SystemClock()), Door(token="spt_t", host="127.0.0.1")
        running = asyncio.create_task(run(fleet, config, listener, door, SystemClock(), exit_with_parent=False))
        try:
            address = "http://{}:{}".format(*listener.getsockname())
            async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S) as http:
                await until(http, lambda each: each["here"]["rounds"]["completed"] >= 3 and admin(each["here"]))
                each = await until(http, lambda each: admin(each["silent"]) is False and admin(each["late"]) is False)
                assert admin(each["here"])
                with broker(tmp_path / "late", port):
                    await until(http, lambda each: admin(each["late"]))
                views = (await http.get("/api/views/broker")).json()
                assert {row["cluster"] for row in views} >= {"here"}
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            assert await running == 0
            await asyncio.to_thread(fleet.close)
