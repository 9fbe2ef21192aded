"""`--help` is instant because it imports next to nothing: the import set is held, not the clock."""

import os
import subprocess
import sys

import pytest

from agent.cli.app import run

HEAVY = {
    "duckdb",
    "numpy",
    "httpx",
    "fastapi",
    "uvicorn",
    "pydantic",
    "kafka",
    "textual",
    "rich",
    "openai",
    "psutil",
    "highspy",
    "opentelemetry",
    "google.protobuf",
}
ROOMS = {
    "agent.store",
    "agent.collect",
    "agent.loop",
    "agent.serve",
    "agent.plan",
    "agent.act",
    "agent.model",
    "rules",
    "tui",
    "broker",
}


def _run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_help_imports_no_room_and_nothing_heavy():
    asked = (
        "import sys; from agent.cli.app import run; run(['--help']); print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(told.stderr.split())
    assert "Usage: streampilot" in told.stdout
    assert not loaded & HEAVY
    assert not loaded & ROOMS


def test_every_command_of_the_architecture_is_there():
    told = _run("--help").stdout
    for command in [
        "demo",
        "up",
        "broker",
        "agent",
        "tui",
        "inspect",
        "findings",
        "rules",
        "plan",
        "apply",
        "rollback",
        "audit",
        "ask",
        "cost",
    ]:
        assert f"\n  {command} " in told


@pytest.mark.parametrize("arguments", [("--help",), ("rules", "--help"), ("audit", "--help")])
def test_a_list_of_commands_is_whole_in_eighty_columns(arguments):
    told = _run(*arguments, env={**os.environ, "COLUMNS": "80"}).stdout
    assert "Commands:" in told and "..." not in told.partition("Commands:")[2]


def test_the_version_is_told():
    told = _run("--version")
    assert (told.returncode, told.stdout.split()[0]) == (0, "streampilot")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("up", "--brokrs", "3"), "--brokrs"),
        (("up", "--brokers", "none"), "--brokers"),
        (("nonsense",), "nonsense"),
        (("findings", "--agent", "127.0.0.1:1"), "http://"),
        (("findings", "--agent", "http://127.0.0.1:1"), "no agent answers at http://127.0.0.1:1"),
        (("up", "--zones", " , "), "--zones"),
        (("agent", "--config", "/no/such.toml"), "/no/such.toml"),
        (("agent", "--bootstrap-servers", "nowhere"), "host:port"),
        (("announce",), "see streampilot announce --help"),
        (("rules", "show", "XXX-99"), "XXX-99"),
        (("rules", "test", "/no/such"), "no file or folder /no/such"),
        (("rules", "test", "--path", "/no/such/rules"), "/no/such/rules"),
    ],
)
def test_bad_input_gets_one_line_and_a_code(arguments, names, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    said = capfd.readouterr().err
    assert names in said
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("streampilot: ")


def test_the_code_is_the_processes_own(tmp_path):
    told = _run("up", "--brokrs", "3", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stdout == "" and told.stderr.startswith("streampilot: ")


def test_a_port_in_use_is_named_with_its_flag(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = _run("up", "--brokers", "1", "--dir", str(tmp_path), "--port", str(port))
    assert told.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in told.stderr
    assert "--port" in told.stderr
