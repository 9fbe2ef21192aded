"""Children of `up`: awaited, narrated, stopped by pid."""

import sys

import pytest

from agent.cli.child import Child, said
from agent.cli.complaint import Complaint

READY = "import json, sys, time; print(json.dumps({'id': 7}), flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); time.sleep(60)"


def _child(code):
    return Child("broker 7", [sys.executable, "-c", code])


async def test_a_child_is_ready_with_its_line_and_stops_when_told():
    child = _child(READY)
    await child.start(10)
    assert child.ready == {"id": 7}
    assert child.alive
    await child.stop(5)
    assert not child.alive
    assert said(await child.wait()) == "was killed by SIGTERM"


async def test_a_child_that_dies_first_is_said_with_its_last_words():
    child = _child("import sys; sys.exit('port 9092 is in use')")
    with pytest.raises(Complaint, match=r"broker 7 exited with status 1 before it was ready: port 9092 is in use"):
        await child.start(10)


async def test_a_silent_child_is_not_waited_for_for_ever():
    child = _child("import time; time.sleep(60)")
    with pytest.raises(Complaint, match="was not ready within 0 s"):
        await child.start(0.2)
    await child.stop(5)


async def test_a_child_that_will_not_stop_is_killed(capsys):
    child = _child(DEAF)
    await child.start(10)
    await child.stop(0.2)
    assert said(await child.wait()) == "was killed by SIGKILL"
    assert "did not stop" in capsys.readouterr().err
