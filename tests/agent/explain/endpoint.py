"""An OpenAI-compatible endpoint on loopback that says what its script says."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """`mode`: say, slow, endless, limited or broken."""

    def __init__(self, mode: str = "say", text: str = "") -> None:
        self.mode, self.text, self.asked = mode, text, []
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append(json.loads(body))
                outer.serve(self)

            def log_message(self, *_args) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def serve(self, handler) -> None:
        if self.mode in ("limited", "broken"):
            handler.send_response(429 if self.mode == "limited" else 500)
            handler.send_header("content-length", "0")
            handler.end_headers()
            return
        if self.mode == "slow":
            self.ended.wait(3)
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        try:
            if self.mode == "endless":
                while not self.ended.is_set():
                    self._chunk(handler, "and more ")
                    time.sleep(0.001)
            for word in self.text.split(" "):
                self._chunk(handler, f"{word} ")
            handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return

    def _chunk(self, handler, text: str) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
