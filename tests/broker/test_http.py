"""The HTTP side, spoken to byte by byte."""

import asyncio

import pytest

from broker.http import HttpServer, Reply


@pytest.fixture
async def port():
    server = HttpServer({"/metrics": lambda: Reply(text="up 1\n")})
    _, port = await server.listen("127.0.0.1", 0)
    yield port
    server.close()


async def ask(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_a_known_path_is_answered(port):
    answer = await ask(port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\nup 1\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\x00\x00\x00\x10nonsense\r\n\r\n", "400"),
        (b"GET /" + b"a" * 40_000, "400"),
    ],
)
async def test_bad_requests_are_refused(port, request_bytes, status):
    assert (await ask(port, request_bytes)).startswith(f"HTTP/1.1 {status} ")


async def test_head_has_no_body(port):
    answer = await ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert answer.endswith("\r\n\r\n")


async def test_a_silent_peer_keeps_nobody_else_out(port):
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
    assert "200 OK" in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
    for _, writer in silent:
        writer.close()
