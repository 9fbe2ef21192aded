"""A whole agent, and a client of its HTTP API."""

import asyncio

import httpx
import pytest

from tests.agent.rig import Rig


@pytest.fixture
async def rig(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Rig(tmp_path)
    yield made
    await asyncio.to_thread(made.fleet.close)


@pytest.fixture
async def http(rig):
    transport = httpx.ASGITransport(rig.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8099") as client:
        yield client
