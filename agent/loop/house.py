"""What all clusters of one agent have in common: its settings, its two stores, the rule pages, words, and its news."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import NoOpTracer, Tracer

from agent.loop.config import AgentConfig
from agent.loop.events import Bus
from agent.loop.refused import Refused
from agent.loop.words import Words
from agent.model.clock import Clock
from agent.store.bucket import Bucket
from agent.store.errors import StateError, StoreError
from agent.store.samples import SampleStore
from agent.store.shelf import Keep
from agent.store.state import State
from rules.catalogue import Catalogue
from rules.catalogue import load as load_pages
from rules.errors import RuleError

SQL_AT_ONCE = 2
"""Foreign queries side by side; the next one is told to come back."""


@dataclass(frozen=True, kw_only=True)
class House:
    """Open from the start to the end of the process; every cluster's part uses it, none closes it."""

    config: AgentConfig
    clock: Clock
    catalogue: Catalogue
    state: State
    store: SampleStore
    words: Words
    tracer: Tracer = field(default_factory=NoOpTracer)
    bus: Bus = field(default_factory=Bus)
    sql_turns: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(SQL_AT_ONCE))

    def rules(self) -> list[dict[str, Any]]:
        """The catalogue in force, a line each."""
        return [
            {
                "id": page.id,
                "title": page.title,
                "level": page.level,
                "scope": page.scope,
                "action": page.action,
                "thresholds": page.bind(self.config.overrides.get(page.id)),
            }
            for page in self.catalogue
        ]

    def close(self) -> None:
        """Closes both stores."""
        self.store.close()
        self.state.close()


def pages_of(config: AgentConfig) -> Catalogue:
    """The rule pages in force; Refused names the one that does not fit."""
    try:
        catalogue = load_pages(config.rule_paths, disabled=config.rules_disabled, overrides=config.overrides)
        for row in (*config.mutes, *config.maintenance):
            rule = str(row.get("rule", ""))
            if rule and not set(rule) & set("*?[") and rule not in config.rules_disabled:
                catalogue.get(rule)
    except RuleError as error:
        raise Refused(str(error), "streampilot rules test runs its cases") from error
    return catalogue


def open_house(config: AgentConfig, clock: Clock, catalogue: Catalogue, tracer: Tracer | None = None) -> House:
    """Opens the stores; Refused says which of them would not."""
    try:
        config.dir.mkdir(parents=True, exist_ok=True)
        state = State(config.dir / "state.sqlite")
        store = _samples(config, clock)
    except (StateError, StoreError, OSError) as error:
        raise Refused(str(error), "check --dir, and that no other agent uses it") from error
    return House(
        config=config,
        clock=clock,
        catalogue=catalogue,
        state=state,
        store=store,
        words=Words(catalogue, config.llm, clock, os.environ.get(config.llm.key_env, "none")),
        tracer=tracer or NoOpTracer(),
    )


def _samples(config: AgentConfig, clock: Clock) -> SampleStore:
    try:
        bucket = Bucket(config.roll_off) if config.roll_off else None
    except ValueError as error:
        raise Refused(f"agent.roll_off: {error}", "correct the address and the credentials") from error
    return SampleStore(
        config.dir,
        clock=clock,
        clusters=len(config.clusters) or 1,
        memory_limit=f"{config.memory_limit_bytes}B",
        keep=Keep(
            hours=max(1, math.ceil(config.retention_raw_s / 3600)),
            days=max(1, math.ceil(config.retention_rollup_s / 86400)),
            bytes=config.max_disk_bytes,
        ),
        bucket=bucket,
        take_over=config.take_over,
    )
