"""Each cloud's metadata service, as documented, over HTTP: what is a notice, what is none, and what is nonsense."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

import pytest

from broker.clock import SystemClock
from broker.spot.asking import ask
from broker.spot.notice import INTERRUPTION, REBALANCE, NoAnswer, Notice, Service, instant_ms
from broker.spot.places import Place, parse
from broker.spot.services import open_service
from tests.broker.spot.clouds import Clouds, wait_until

SOURCES = ("aws", "gcp", "azure", "alibaba", "url")
DEADLINES = {"gcp": 30}
"""Seconds from the notice, where the service does not say when."""
ACTION = "/latest/meta-data/spot/instance-action"


def service(clouds: Clouds, source: str, machine: int = 0) -> Service:
    clouds.cloud = source
    return open_service(Place(source=source, address=f"{clouds.address}/{machine}"), SystemClock())


@pytest.mark.parametrize("source", SOURCES)
async def test_a_machine_that_is_taken_is_told_so_and_its_neighbour_is_not(clouds: Clouds, source: str) -> None:
    one, other = service(clouds, source), service(clouds, source, 1)
    assert list(await one.look()) == []
    clouds.take(0, 90)
    (notice,) = await one.look()
    assert (notice.kind, notice.source) == (INTERRUPTION, source)
    assert notice.deadline_ms is not None
    left_s = notice.deadline_ms / 1000 - datetime.now().timestamp()
    assert left_s == pytest.approx(DEADLINES.get(source, 90), abs=15)
    assert list(await other.look()) == []
    if source != "gcp":  # which holds this question until something changes
        assert (await one.look())[0].deadline_ms == notice.deadline_ms
    clouds.spare(0)
    assert list(await one.look()) == []


async def test_a_rebalance_recommendation_is_another_kind_and_gives_way_to_an_interruption(clouds: Clouds) -> None:
    aws = service(clouds, "aws")
    clouds.likely.add("0")
    assert [notice.kind for notice in await aws.look()] == [REBALANCE]
    clouds.take(0)
    assert [notice.kind for notice in await aws.look()] == [INTERRUPTION]


@pytest.mark.parametrize("source", ["aws", "alibaba"])
async def test_one_token_serves_many_looks_and_one_that_is_over_is_replaced(clouds: Clouds, source: str) -> None:
    asking = service(clouds, source)
    await asking.look()
    await asking.look()
    assert [method for method, _ in clouds.asked].count("PUT") == 1
    clouds.tokens.clear()
    clouds.take(0)
    assert len(await asking.look()) == 1
    assert [method for method, _ in clouds.asked].count("PUT") == 2


async def test_google_holds_the_question_and_answers_at_the_moment_of_the_preemption(clouds: Clouds) -> None:
    gcp = service(clouds, "gcp")
    await gcp.look()
    held = asyncio.create_task(_list(gcp))
    await asyncio.to_thread(wait_until, lambda: len(clouds.asked) == 2, "a second question")
    assert not held.done()
    clouds.take(0)
    assert len(await held) == 1
    assert "wait_for_change=true" in clouds.asked[1][1] and "last_etag=a" in clouds.asked[1][1]


async def _list(asked: Service) -> Sequence[Notice]:
    return await asked.look()


@pytest.mark.parametrize(
    ("kind", "status", "source"),
    [
        ("Preempt", "Started", 1),
        ("Terminate", "Scheduled", 1),
        ("Reboot", "Scheduled", 0),
        ("Preempt", "Completed", 0),
    ],
)
async def test_azure_tells_much_of_which_preempt_and_terminate_count(
    clouds: Clouds, kind: str, status: str, source: int
) -> None:
    event = {"EventType": kind, "EventStatus": status, "Resources": ["brokers_0"], "NotBefore": ""}
    text = json.dumps({"DocumentIncarnation": 1, "Events": [event, "odd", {"EventType": "Preempt"}]})
    clouds.answers["/metadata/scheduledevents?api-version=2020-07-01"] = (200, {}, text)
    assert len(await service(clouds, "azure").look()) == source


@pytest.mark.parametrize(
    ("body", "notices"),
    [
        ("", 0), ("null", 0), ("false", 0), ("{}", 0), ("[]", 0),
        ("this node is drained", 1), ('{"kind": "interruption"}', 1), ('{"kind": "rebalance"}', 1), ("true", 1),
    ],
)  # fmt: skip
async def test_a_url_with_something_in_it_is_a_notice(clouds: Clouds, body: str, notices: int) -> None:
    clouds.answers["/"] = (200, {"Content-Type": "text/plain"}, body)
    assert len(await service(clouds, "url").look()) == notices


@pytest.mark.parametrize(
    ("source", "path", "status", "body", "said"),
    [
        ("aws", "/latest/api/token", 403, "", "hop limit"),
        ("aws", ACTION, 500, "", "status 500"),
        ("aws", ACTION, 200, "<html>login</html>", "no JSON object"),
        ("aws", ACTION, 200, '{"action": "dance"}', "no action that is known"),
        ("aws", ACTION, 200, "x" * 70_000, "more than 64 KiB"),
        ("aws", ACTION, 200, "[" * 60_000, "no JSON object"),
        ("alibaba", "/latest/meta-data/instance/spot/termination-time", 200, "soon", "is no time"),
        ("gcp", "/computeMetadata/v1/instance/preempted", 200, "TRUE", "of Google's"),
        ("azure", "/metadata/scheduledevents?api-version=2020-07-01", 200, "[]", "no list of Events"),
        ("url", "/", 503, "", "status 503"),
        ("url", "/", 200, "\x00\x01\x02", "neither text nor JSON"),
        ("url", "/", 200, '{"kind": "party"}', "neither interruption nor rebalance"),
    ],
)
async def test_nonsense_is_no_notice(clouds: Clouds, source: str, path: str, status: int, body: str, said: str) -> None:
    clouds.answers[path] = (status, {}, body)
    with pytest.raises(NoAnswer, match=said):
        await service(clouds, source).look()


async def test_a_web_page_is_no_notice(clouds: Clouds) -> None:
    clouds.answers["/"] = (200, {"Content-Type": "text/html"}, "<html>please log in</html>")
    with pytest.raises(NoAnswer, match="web page"):
        await service(clouds, "url").look()


async def test_a_service_that_says_nothing_is_waited_for_so_long_and_no_longer() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(NoAnswer, match=r"no answer within 0\.1 s"):
        await ask("GET", f"http://127.0.0.1:{port}/", timeout_s=0.1)
    server.close()
    await server.wait_closed()


async def test_nobody_there_and_no_http_are_no_notice(clouds: Clouds) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asking = open_service(Place(source="url", address=f"http://127.0.0.1:{port}/"), SystemClock())
    with pytest.raises(NoAnswer):
        await asking.look()
    server.close()
    await server.wait_closed()
    with pytest.raises(NoAnswer):
        await asking.look()


def test_a_place_is_a_cloud_a_cloud_elsewhere_or_a_url() -> None:
    assert parse("", 3) is None
    assert parse("aws", 3) == Place(source="aws", address="http://169.254.169.254")
    assert parse("alibaba", 3) == Place(source="alibaba", address="http://100.100.100.200")
    assert parse("gcp=http://127.0.0.1:8/{id}/", 3) == Place(source="gcp", address="http://127.0.0.1:8/3")
    assert parse("https://drains/node?b={id}", 3) == Place(source="url", address="https://drains/node?b=3")


@pytest.mark.parametrize("text", ["ibm", "aws=", "aws=ftp://x", "http://", "http://h:0/", "http://h:x/", "http://a b/"])
def test_another_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write aws, gcp, azure, alibaba"):
        parse(text, 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-27T21:00:00Z", 1795813200),
        ("2026-11-27T21:00:00", 1795813200),
        ("Fri, 27 Nov 2026 21:00:00 GMT", 1795813200),
        ("soon", None),
        ("", None),
        ("0001-01-01T00:00:00+23:59", -62135683140),
        ("Fri, 27 Nov 2026 21:00:00 +99999999999", None),
    ],
)
def test_times_are_read_as_the_clouds_write_them(text: str, seconds: int | None) -> None:
    assert instant_ms(text) == (seconds * 1000 if seconds is not None else None)
