"""The daemon's wiring: what a restart interrupted goes on once the agent runs again."""

import asyncio
import os
import signal
import time

from agent.cli.daemon import run
from agent.model.clock import SystemClock
from agent.serve.access import Door
from agent.serve.server import bind
from tests.agent.rig import TOKEN, Rig


async def _until(wanted, patience_s=30.0):
    def look():
        end = time.monotonic() + patience_s
        while not wanted() and time.monotonic() < end:
            time.sleep(0.02)

    await asyncio.to_thread(look)
    assert wanted()


async def _run_until(rig, wanted):
    """The daemon itself, on a free port, ended by SIGTERM as an init system does."""
    with bind("127.0.0.1", 0) as listener:
        config = rig.agent.rooms.config
        door = Door(token=TOKEN, host="127.0.0.1")
        running = asyncio.create_task(run(rig.fleet, config, listener, door, SystemClock(), exit_with_parent=False))
        try:
            await _until(wanted)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            assert await running == 0
            await asyncio.to_thread(rig.fleet.close)


async def _proposed(rig):
    await rig.rounds(6)
    (plan,) = rig.agent.plans()
    return plan


async def test_a_plan_interrupted_in_the_middle_of_a_move_goes_on_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = Rig(tmp_path)
    plan = await _proposed(before)
    before.cluster.polls_to_finish = None
    before.agent.approve(plan.id, by="ann", note="go")
    await _until(lambda: before.cluster.effects)
    await asyncio.to_thread(before.fleet.close)

    after = Rig(tmp_path, before.cluster)
    assert after.agent.plan(plan.id).state == "executing"
    for moving in after.cluster.moving.values():
        moving[1] = 1
    after.cluster.polls_to_finish = 1
    await _run_until(after, lambda: after.agent.plan(plan.id).state == "verifying")
    asked = [effect for effect in after.cluster.effects if effect[0] == "reassign"]
    assert len(asked) == len(set(asked)) == len(plan.steps)


async def test_a_plan_that_was_approved_and_not_begun_begins_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = Rig(tmp_path)
    plan = await _proposed(before)
    before.agent.rooms.executor.approve(plan.id, "token:ann")
    await asyncio.to_thread(before.fleet.close)

    after = Rig(tmp_path, before.cluster)
    after.clock.wind((before.clock.now() - after.clock.now()).total_seconds())
    await _run_until(after, lambda: after.agent.plan(plan.id).state == "verifying")
    assert after.cluster.effects
