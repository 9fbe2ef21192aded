"""What is printed fits the terminal, and no word of it is lost."""

import shlex
import subprocess
import sys

import pytest

from agent.cli.look import findings_table
from agent.cli.show import table, wrapped

LONG = "c/client/product-updates-service-in-the-second-region"


def test_prose_is_wrapped_under_its_mark_and_a_command_is_not_broken():
    command = "kafka-reassign-partitions.sh--bootstrap-server=broker-1.example.org:9092"
    lines = wrapped(f"What to do:\n1. Take the throttle away with {command} and look again.", 40, "  ").splitlines()
    assert lines[0] == "  What to do:"
    assert lines[1].startswith("  1. Take") and all(line.startswith("     ") for line in lines[2:])
    assert command in "\n".join(lines)
    assert all(len(line) <= 40 for line in lines if command not in line)


def test_the_last_cell_goes_on_below_itself():
    text = table(("rule", "title"), [("BAL-01", "One broker carries more than its peers")], columns=30)
    assert text.splitlines() == ["rule    title", "BAL-01  One broker carries", "        more than its peers"]


def test_findings_with_long_names_fit_in_eighty_columns():
    risk = {
        "id": "CLI-02-1234", "level": "P2", "rule": "CLI-02", "resource": LONG, "state": "open", "first_seen": "1",
        "title": "A producer sends its records uncompressed", "latest": {"usd_per_month": 12.5},
        "explanation": f"A producer sends its records uncompressed: client {LONG}.\n- Its owner knows. " + "word " * 30,
    }  # fmt: skip
    summary, detail = findings_table([risk], 80).split("\n\n")
    assert LONG in summary and max(map(len, detail.splitlines())) <= 80
    assert "CLI-02-1234" in detail


def test_what_nobody_can_read_is_no_traceback():
    command = [sys.executable, "-m", "agent.cli", "rules", "list"]
    told = subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} >&-"], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


STOPPED = """
import sys
from agent.cli.app import app, run

@app.command("stopped")
def stopped() -> None:
    raise {}

sys.exit(run(["stopped"]))
"""


@pytest.mark.parametrize("seen", ["KeyboardInterrupt", "RuntimeError('Query interrupted')"])
def test_ctrl_c_is_said_in_one_line_whoever_notices_it_first(seen):
    script = [sys.executable, "-c", STOPPED.format(seen)]
    told = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stderr) == (130, "streampilot: interrupted\n")
