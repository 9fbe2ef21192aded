"""The parts of one agent, made from its configuration and wired to each other. Nothing runs yet when this returns."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from agent.act.executor import Executor
from agent.collect.admin import ClusterAdmin
from agent.collect.collector import Collector
from agent.collect.errors import CollectError
from agent.collect.views import StoreSource
from agent.diagnose.diagnosis import Diagnosis
from agent.explain.answerer import Answerer
from agent.loop.config import AgentConfig, ClusterConfig
from agent.loop.refused import Refused
from agent.model.clock import Clock
from agent.store.errors import StateError, StoreError
from agent.store.samples import SampleStore
from agent.store.state import State
from rules.catalogue import Catalogue


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """What an agent works with."""

    config: AgentConfig
    clock: Clock
    cluster: str
    """The name in resource ids: the configured one, else Kafka's own cluster id."""
    state: State
    store: SampleStore
    admin: ClusterAdmin
    collector: Collector
    source: StoreSource
    catalogue: Catalogue
    diagnosis: Diagnosis
    executor: Executor
    answerer: Answerer
