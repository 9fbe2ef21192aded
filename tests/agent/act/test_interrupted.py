"""Plans killed at any point of their way forth or back, and resumed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agent.act import Executor
from agent.model.clock import HandClock
from agent.plan import PlanSettings, propose
from agent.store.state import State
from tests.agent.act.hot import HOT, WARD, approved, recorded
from tests.agent.act.recording import Crash, Fuse, FusedState
from tests.agent.plan.clusters import NOW


def crash_points(tmp_path, plan, picture, run) -> int:
    """How often an uninterrupted run passes the fuse."""
    fuse = Fuse()
    admin = recorded(picture)
    state = State(tmp_path / "count.sqlite")
    executor = approved(admin, state, HandClock(NOW), plan)
    admin.fuse = fuse
    run(Executor(admin, FusedState(state, fuse), HandClock(NOW), ward=WARD), executor)
    state.close()
    return fuse.passed


def test_killed_at_any_point_it_resumes_and_no_step_runs_twice(tmp_path, picture):
    plan = propose([HOT], picture, None, NOW, PlanSettings(max_moves=3))
    points = crash_points(tmp_path, plan, picture, lambda fused, _: fused.execute(plan, dry_run=False))
    assert points > 10
    for at in range(1, points + 1):
        path = tmp_path / f"{at}.sqlite"
        state, admin, fuse = State(path), recorded(picture), Fuse(at)
        approved(admin, state, HandClock(NOW), plan)
        admin.fuse = fuse
        with pytest.raises(Crash):
            Executor(admin, FusedState(state, fuse), HandClock(NOW), ward=WARD).execute(plan, dry_run=False)
        state.close()
        admin.fuse = Fuse()
        state = State(path)
        executor = Executor(admin, state, HandClock(NOW + timedelta(days=2)), ward=WARD)
        started = executor.journal.plan(plan.id).state != "approved"
        executor.resume()
        reassigned = [effect[1] for effect in admin.effects]
        assert len(reassigned) == len(set(reassigned)), f"a step ran twice after a crash at {at}"
        announced = {entry["step"] for entry in executor.journal.entries(plan.id)}
        assert len(reassigned) <= len(announced)
        if started:
            assert executor.journal.plan(plan.id).state == "verifying"
            assert len(reassigned) == len(plan.steps) == len(announced)
        assert state.verify_audit() is None
        state.close()


def test_killed_at_any_point_of_a_rollback_it_resumes_to_the_exact_assignment(tmp_path, picture):
    plan = propose([HOT], picture, None, NOW, PlanSettings(max_moves=2))
    before = {p.id: p.replicas for p in picture.partitions}

    def run(fused, plain) -> None:
        plain.execute(plan, dry_run=False)
        fused.rollback(plan, "ann")

    points = crash_points(tmp_path, plan, picture, run)
    for at in range(1, points + 1):
        path = tmp_path / f"back{at}.sqlite"
        state, admin, fuse = State(path), recorded(picture), Fuse(None)
        approved(admin, state, HandClock(NOW), plan).execute(plan, dry_run=False)
        admin.fuse = fuse
        fuse.at = at
        try:
            Executor(admin, FusedState(state, fuse), HandClock(NOW), ward=WARD).rollback(plan, "ann")
        except Crash:
            state.close()
            admin.fuse = Fuse()
            state = State(path)
            executor = Executor(admin, state, HandClock(NOW), ward=WARD)
            executor.resume()
            marked = executor.journal.marked(plan.id, "rollback")
            if marked is None:
                assert executor.journal.plan(plan.id).state == "verifying"
            else:
                assert admin.replicas == before, f"after a crash at {at}"
                assert executor.journal.plan(plan.id).state == "rolled_back"
        state.close()
