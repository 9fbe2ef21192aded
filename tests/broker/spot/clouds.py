"""The clouds' metadata services as their documentation has them, on one loopback port.

Each broker's machine is a path: `http://127.0.0.1:PORT/ID` is what a cloud's own address would be to broker ID.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, dict[str, str], str]
NONE: Reply = (404, {"Content-Type": "text/html"}, "<html><title>404 - Not Found</title></html>")
_TOKENS = {"aws": "X-aws-ec2-metadata-token", "alibaba": "X-aliyun-ecs-metadata-token"}


def utc(seconds: float) -> datetime:
    """So many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)


class Clouds:
    """`take` takes a machine; `answers` overrules what a path says, in bytes of its own."""

    def __init__(self) -> None:
        self.cloud = "aws"
        self.taken: dict[str, datetime] = {}
        """Machine to when it goes."""
        self.likely: set[str] = set()
        """Machines for which EC2 recommends a rebalance."""
        self.answers: dict[str, Reply] = {}
        self.asked: list[tuple[str, str]] = []
        """Method and path, in order."""
        self.tokens: set[str] = set()
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._serve(self)

            do_PUT = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, machine: object, seconds: float = 120.0) -> None:
        with self._changed:
            self.taken[str(machine)] = utc(seconds)
            self._changed.notify_all()

    def spare(self, machine: object) -> None:
        with self._changed:
            self.taken.pop(str(machine), None)
            self._changed.notify_all()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        _, machine, *rest = request.path.split("/", 2)
        path = "/" + "".join(rest)
        self.asked.append((request.command, path))
        status, headers, text = self.answers.get(path) or self._reply(request, machine, path)
        body = text.encode()
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        with contextlib.suppress(OSError):  # who asked may have gone
            request.end_headers()
            request.wfile.write(body)

    def _reply(self, request: BaseHTTPRequestHandler, machine: str, path: str) -> Reply:
        speak: Callable[[BaseHTTPRequestHandler, str, str], Reply] = getattr(self, f"_{self.cloud}")
        return speak(request, machine, path)

    def _token(self, request: BaseHTTPRequestHandler, path: str) -> Reply | None:
        """IMDSv2 and Alibaba's hardened mode: no answer without a token, no token without its age."""
        header = _TOKENS[self.cloud]
        if path == "/latest/api/token":
            if request.command != "PUT" or not 1 <= int(request.headers.get(f"{header}-ttl-seconds", 0)) <= 21_600:
                return 400, {}, ""
            token = f"AQAEA{len(self.tokens)}=="
            self.tokens.add(token)
            return 200, {"Content-Type": "text/plain"}, token
        return None if request.headers.get(header) in self.tokens else (401, {}, "")

    def _aws(self, request: BaseHTTPRequestHandler, machine: str, path: str) -> Reply:
        if (said := self._token(request, path)) is not None:
            return said
        if path == "/latest/meta-data/spot/instance-action" and machine in self.taken:
            at = self.taken[machine].strftime("%Y-%m-%dT%H:%M:%SZ")
            return 200, {"Content-Type": "text/plain"}, json.dumps({"action": "terminate", "time": at})
        if path == "/latest/meta-data/events/recommendations/rebalance" and machine in self.likely:
            return 200, {"Content-Type": "text/plain"}, json.dumps({"noticeTime": "2020-10-27T08:22:00Z"})
        return NONE

    def _alibaba(self, request: BaseHTTPRequestHandler, machine: str, path: str) -> Reply:
        if (said := self._token(request, path)) is not None:
            return said
        if path == "/latest/meta-data/instance/spot/termination-time" and machine in self.taken:
            return 200, {"Content-Type": "text/plain"}, self.taken[machine].strftime("%Y-%m-%dT%H:%M:%SZ")
        return NONE

    def _gcp(self, request: BaseHTTPRequestHandler, machine: str, path: str) -> Reply:
        to = urlsplit(path)
        if request.headers.get("Metadata-Flavor") != "Google":
            return 403, {"Metadata-Flavor": "Google"}, "Missing Metadata-Flavor:Google header."
        if to.path != "/computeMetadata/v1/instance/preempted":
            return NONE
        wanted = {name: values[0] for name, values in parse_qs(to.query).items()}

        def etag() -> str:
            return f"{'b' if machine in self.taken else 'a'}0123456789abcde"

        with self._changed:
            if wanted.get("wait_for_change") == "true" and wanted.get("last_etag") == etag():
                held = wanted["last_etag"]
                self._changed.wait_for(lambda: etag() != held, float(wanted.get("timeout_sec", 60)))
            value = "TRUE" if machine in self.taken else "FALSE"
            return 200, {"Metadata-Flavor": "Google", "ETag": etag(), "Content-Type": "application/text"}, value

    def _azure(self, request: BaseHTTPRequestHandler, machine: str, path: str) -> Reply:
        if request.headers.get("Metadata") != "true":
            return 400, {}, json.dumps({"error": "Bad request. Required metadata header not specified"})
        if path.startswith("/metadata/instance/compute/name?"):
            return 200, {"Content-Type": "text/plain; charset=utf-8"}, f"brokers_{machine}"
        if path != "/metadata/scheduledevents?api-version=2020-07-01":
            return NONE
        events = [
            {
                "EventId": "C7061BAC-AFDC-4513-B24B-AA5F13A16123",
                "EventType": "Preempt",
                "ResourceType": "VirtualMachine",
                "Resources": [f"Brokers_{one}"],
                "EventStatus": "Scheduled",
                "NotBefore": at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
                "Description": "",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
            for one, at in self.taken.items()
        ]
        document = {"DocumentIncarnation": 2, "Events": events}
        return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document)

    def _url(self, request: BaseHTTPRequestHandler, machine: str, path: str) -> Reply:
        if machine not in self.taken:
            return NONE
        told = {"deadline": self.taken[machine].isoformat(), "detail": "node drain"}
        return 200, {"Content-Type": "application/json"}, json.dumps(told)


def wait_until(holds: Callable[[], bool], what: str, patience_s: float = 60.0) -> float:
    """Seconds until it held; AssertionError after `patience_s`."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < patience_s, f"not within {patience_s:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began
