"""Where the token comes from: never out of a file that only a server named."""

import pytest

from agent.cli.complaint import Complaint
from agent.cli.remote import find_token


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
