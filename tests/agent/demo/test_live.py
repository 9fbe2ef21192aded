"""The demo for real, in its reduced form: two plants, found, fixed and proved; and nothing left behind by Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "agent.cli", "demo", "--plain"]


@pytest.mark.heavy
def test_a_hot_broker_and_a_hot_key_are_found_and_the_broker_is_relieved_without_moving_the_key(tmp_path: Path) -> None:
    report = tmp_path / "demo-report.json"
    command = [*DEMO, "--seed", "6", "--plant", "hot-broker,hot-key", "--time-scale", "6", "--report", str(report)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(report.read_text())
    planted = {(item["rule"], item["resource"]) for item in document["planted"]}
    assert {rule for rule, _ in planted} == {"BAL-01", "BAL-03"}
    assert {(item["rule"], item["resource"]) for item in document["findings"]} == planted
    assert any(plan["executed"] and plan["verified"] for plan in document["plans"])
    assert document["load"]["before"]["busiest_over_mean"] > 1.8
    assert document["load"]["after"]["busiest_over_mean"] < 1.25
    assert document["records"]["produced"] > 10_000
    assert document["records"]["lost"] == document["records"]["duplicated"] == 0


@pytest.mark.heavy
def test_an_interrupt_stops_everything_that_was_started(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DEMO, "--dir", str(tmp_path / "work"), "--report", str(tmp_path / "report.json")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        while "== diagnosis" not in (line := demo.stderr.readline()):
            assert line, "the demo ended before it diagnosed anything"
        started = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        _, narration = demo.communicate(timeout=90)
    assert demo.returncode == 130
    assert "everything that was started is stopped" in narration
    assert "Traceback" not in narration
    assert len(started) >= 7
    deadline = time.monotonic() + 30
    while any(process.is_running() for process in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [process.pid for process in started if process.is_running()] == []
    assert not (tmp_path / "report.json").exists()
