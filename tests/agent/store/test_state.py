"""What must last: durable documents and an audit that shows any change."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.store.errors import StateError
from agent.store.state import State


def test_keeps_documents_over_a_restart(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    state.put("plan", "p1", {"n": 1})
    state.put("plan", "p1", {"n": 2})
    state.put_many("risk", {"r2": {"x": "Ä"}, "r1": None})
    state.close()
    again = State(tmp_path / "state.sqlite")
    assert again.get("plan", "p1") == {"n": 2}
    assert again.get("plan", "p2") is None
    assert again.all("risk") == {"r1": None, "r2": {"x": "Ä"}}
    assert again.delete("risk", "r1") is True
    assert again.delete("risk", "r1") is False
    again.close()


def test_counts_audit_entries_from_one_and_finds_the_chain_whole(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    assert state.verify_audit() is None
    assert [state.append_audit({"what": name}) for name in "abc"] == [1, 2, 3]
    assert state.verify_audit() is None
    assert [entry["what"] for entry in state.audit(2)] == ["c", "b"]
    state.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE audit SET body = replace(body, 'b', 'x') WHERE seq = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE seq = 3", "were cut off"),
    ],
)
def test_finds_what_was_done_to_the_audit(tmp_path: Path, damage: str, said: str) -> None:
    path = tmp_path / "state.sqlite"
    state = State(path)
    for name in "abc":
        state.append_audit({"what": name})
    state.close()
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    state = State(path)
    problem = state.verify_audit()
    assert problem is not None
    assert said in problem
    state.close()


def test_finds_one_flipped_byte_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    state = State(path)
    state.append_audit({"what": "moved orders-3"})
    state.close()
    content = bytearray(path.read_bytes())
    content[content.index(b"moved orders-3")] ^= 1
    path.write_bytes(content)
    state = State(path)
    assert "entry 1 was changed" in (state.verify_audit() or "")
    state.close()


def test_refuses_a_file_of_a_newer_version_and_one_that_is_no_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "new.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StateError, match="upgrade streampilot"):
        State(tmp_path / "new.sqlite")
    (tmp_path / "bad.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(StateError, match="move it away"):
        State(tmp_path / "bad.sqlite")
    assert (tmp_path / "bad.sqlite").read_bytes().startswith(b"not a database")


def test_serves_several_threads_without_a_gap_in_the_chain(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    threads = [threading.Thread(target=lambda: [state.append_audit({}) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.audit(1000)) == 40
    assert state.verify_audit() is None
    state.close()


def test_loses_nothing_that_was_returned_when_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from agent.store.state import State\n"
        "state = State(pathlib.Path(sys.argv[1]))\n"
        "while True: print(state.append_audit({}), flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "state.sqlite")], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(5)]
    os.kill(writer.pid, signal.SIGKILL)
    said += [int(line) for line in writer.stdout.read().split()]
    writer.stdout.close()
    writer.wait()
    state = State(tmp_path / "state.sqlite")
    assert len(state.audit(100_000)) >= said[-1]
    assert state.verify_audit() is None
    state.close()


def test_says_what_to_do_once_it_is_closed(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    state.close()
    with pytest.raises(StateError, match="cannot write"):
        state.put("a", "b", 1)
