"""Where the token comes from: never out of a file that only a server named."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agent.cli.complaint import Complaint
from agent.cli.remote import find_token, token_if_any


def test_the_environment_comes_first(monkeypatch):
    monkeypatch.setenv("STREAMPILOT_TOKEN", "spt_env")
    assert find_token("http://127.0.0.1:1", "", required=True) == "spt_env"


def test_a_file_that_holds_no_token_is_not_sent(tmp_path, monkeypatch):
    monkeypatch.delenv("STREAMPILOT_TOKEN", raising=False)
    secret = tmp_path / "id_rsa"
    secret.write_text("-----BEGIN KEY-----")
    with pytest.raises(Complaint, match="holds no token"):
        find_token("http://127.0.0.1:1", str(secret), required=True)


def test_an_agent_elsewhere_cannot_name_a_file_here(monkeypatch):
    monkeypatch.delenv("STREAMPILOT_TOKEN", raising=False)
    with pytest.raises(Complaint, match="there is no token"):
        find_token("http://example.invalid:8099", "", required=True)


@pytest.fixture
def announcing(tmp_path, monkeypatch):
    """An agent on loopback that says where it wrote its token; (address, file)."""
    monkeypatch.delenv("STREAMPILOT_TOKEN", raising=False)
    file = tmp_path / "token"

    class Status(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"token_file": str(file)}).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Status)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", file
    server.shutdown()
    thread.join(timeout=30)
    server.server_close()


def test_the_screen_takes_the_token_that_an_agent_here_wrote(announcing):
    address, file = announcing
    file.write_text("spt_here\n")
    assert token_if_any(address, "") == "spt_here"


def test_the_screen_only_reads_where_the_token_is_not_for_this_user(announcing):
    address, file = announcing
    assert token_if_any(address, "") == ""
    with pytest.raises(Complaint, match="cannot read the token"):
        token_if_any(address, str(file))
