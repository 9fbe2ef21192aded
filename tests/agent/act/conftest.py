from __future__ import annotations

import pytest

from agent.model.clock import HandClock
from agent.plan import propose
from agent.store.state import State
from tests.agent.act.hot import HOT, LOADS
from tests.agent.plan.clusters import NOW, cluster


@pytest.fixture
def keeper(tmp_path):
    state = State(tmp_path / "state.sqlite")
    yield state
    state.close()


@pytest.fixture
def clock():
    return HandClock(NOW)


@pytest.fixture
def picture():
    return cluster(LOADS)


@pytest.fixture
def plan(picture):
    return propose([HOT], picture, None, NOW)
