"""One cluster as the agent knows it: what it has seen, what it holds to be wrong, what would fix it.

Laws:
1. One round at a time: collect, diagnose, look, propose. Surfaces read the last round's picture; they never start one.
2. The agent only reads until a person approves: everything that changes a cluster goes through `actions`.
3. Every method may be called from any thread.
4. A round runs in a thread of the cluster's own: one that hangs holds up no other cluster's.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

from agent.collect.notices import of_machines
from agent.loop.actions import Actions
from agent.loop.announcements import Announcement, announce
from agent.loop.billed import billed
from agent.loop.bills import BillReader
from agent.loop.events import Herald
from agent.loop.glance import Glance, Row
from agent.loop.money import costs, history, seen_by, supposed
from agent.loop.overview import Series, overview, total
from agent.loop.queries import Queries
from agent.loop.refused import Refused
from agent.loop.rooms import Rooms
from agent.loop.rounds import RoundStats
from agent.loop.spending import Spending
from agent.loop.words import snapshot
from agent.model.codec import timestamp, to_json
from agent.model.finding import Risk, Silence
from agent.model.plan import Plan

log = logging.getLogger("streampilot.agent")

VERSION = "0.1.0"
TIDY_EVERY_S = 60.0


class Agent:
    """The parts that are about one cluster, and the picture of its last round."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._herald = Herald(rooms.house.bus, rooms.cluster)
        self.queries = Queries(rooms)
        self.rounds = RoundStats()
        self._clock = rooms.clock
        self._started = rooms.clock.now()
        self._series = Series()
        self.looked_at = self._started
        """The instant that the last round's picture is of: when it had collected."""
        self._overview = overview(brokers=[], load=[], cost=[], series=self._series)
        self._sources: list[Row] = []
        self._down: dict[str, str] = {}
        self._tidied = self._started
        self._bills = BillReader(rooms.bill)
        self._spending = Spending(rooms.ledger, every_s=rooms.config.scrape_interval_s)
        self._known = tuple(rooms.diagnosis.risks())
        self._open = {risk.id: risk for risk in self._known if risk.state in {"open", "acknowledged"}}
        self._silences: tuple[Silence, ...] = ()
        self.actions = Actions(rooms, self._herald, list(self._open.values()))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"round-{rooms.cluster}")

    # The beat

    async def round(self) -> None:
        """One round; raises what stopped it, with what it learned so far kept."""
        tracer, loop = self.rooms.tracer, asyncio.get_running_loop()
        with tracer.start_as_current_span("round", attributes={"cluster": self.rooms.cluster}) as span:
            for phase, work in (
                ("collect", self._collect),
                ("diagnose", self._diagnose),
                ("look", self._look),
                ("plan", self._plan),
            ):
                began = self._clock.monotonic()
                with tracer.start_as_current_span(phase):
                    await loop.run_in_executor(self._thread, contextvars.copy_context().run, work)
                self.rounds.durations[phase] = self._clock.monotonic() - began
            span.set_attribute("findings", len(self._open))
        self._herald.publish("round", self._now(), findings=len(self._open))

    def _collect(self) -> None:
        now = self._clock.now()
        seen = self.rooms.collector.round(now)
        for event in of_machines(seen.events):
            log.warning("%s on %s: %s", event.kind, event.resource, event.detail)
            self._herald.publish("note", self._now(), resource=event.resource, detail=f"{event.kind}: {event.detail}")
        if seen.down != self._down:
            for target, reason in seen.down.items():
                log.warning("%s does not answer: %s", target, reason)
            self._herald.publish("source", self._now(), down=dict(seen.down))
        self._down = dict(seen.down)
        if (now - self._tidied).total_seconds() >= TIDY_EVERY_S:
            self._tidied = now
            self.rooms.collector.maintain(now)
            self._bills.poke()

    def _diagnose(self) -> None:
        self.looked_at = self._clock.now()
        found, known = self.rooms.judge(self.looked_at)
        self._silences, self._known = tuple(found.silences), tuple(known)
        now_open = {risk.id: risk for risk in found.risks if risk.state in {"open", "acknowledged"}}
        for risk in now_open.values():
            if risk.id not in self._open:
                log.info("%s %s on %s", risk.level, risk.rule, risk.resource)
                self._herald.publish(
                    "finding", self._now(), change="opened", id=risk.id, rule=risk.rule, resource=risk.resource
                )
        for risk in self._open.values():
            if risk.id not in now_open:
                log.info("closed: %s on %s", risk.rule, risk.resource)
                self._herald.publish(
                    "finding", self._now(), change="closed", id=risk.id, rule=risk.rule, resource=risk.resource
                )
        self._open = now_open

    def _look(self) -> None:
        with Glance(self.rooms.source, self.looked_at) as glance:
            load, cost = glance.rows("broker_load"), glance.rows("cost")
            self._series.add(load)
            self._overview = overview(brokers=glance.rows("broker"), load=load, cost=cost, series=self._series)
            self._sources = glance.rows("source")
        self._spending.add(glance.at, cost, total(row["bytes_in_per_s"] for row in load) or 0.0)

    def _plan(self) -> None:
        self.actions.tend(list(self._open.values()))

    # What the surfaces read

    @property
    def ready(self) -> bool:
        """Whether a round has been completed."""
        return self.rounds.completed > 0

    def status(self) -> dict[str, Any]:
        """GET /api/status."""
        config = self.rooms.config
        return {
            "name": "streampilot",
            "version": VERSION,
            "started_at": timestamp(self._started),
            "now": self._now(),
            "ready": self.ready,
            "cluster": self.rooms.cluster,
            "clusters": [cluster.name or cluster.bootstrap_servers for cluster in config.clusters],
            "scrape_interval_s": config.scrape_interval_s,
            "time_scale": config.time_scale,
            "token_file": str(config.token_file),
            "config": config.source,
            "rounds": {
                "completed": self.rounds.completed,
                "overruns": self.rounds.overruns,
                "failures": self.rounds.failures,
                "last_error": self.rounds.last_error,
                "durations_s": dict(self.rounds.durations),
            },
            "findings": len(self._open),
            "sources": self._sources,
            "notes": [
                *self.rooms.store.notes(),
                *self._bills.notes(),
                *self._spending.notes(),
                *self.rooms.meter.notes,
            ],
        }

    def overview(self) -> dict[str, Any]:
        """GET /api/overview."""
        return self._overview

    def sources(self) -> list[Row]:
        """Where the data comes from, and whether it comes."""
        return self._sources

    def risks(self, *, every: bool = False) -> list[Risk]:
        """Open risks, worst first; `every` adds the resolved, muted and folded ones."""
        known = self._known if every else self._open.values()
        ordered = sorted(known, key=lambda risk: (risk.level, risk.first_seen, risk.id))
        return [self.rooms.words.explained(risk) for risk in ordered]

    def knows(self, risk: str) -> bool:
        """Whether a risk of that id is, or was, of this cluster."""
        return any(known.id == risk for known in self._known)

    def risk(self, id: str) -> Risk:
        """One risk; Refused where there is none."""
        for risk in self.risks(every=True):
            if risk.id == id:
                return risk
        raise Refused(f"no finding {id!r}", "list them: streampilot findings --all", number=404)

    def silences(self) -> list[Silence]:
        """Why each quiet rule is quiet."""
        return [replace(silence, cluster=self.rooms.cluster) for silence in self._silences]

    def plans(self) -> list[Plan]:
        """The newest first."""
        return self.actions.plans()

    def plan(self, id: str) -> Plan:
        """One plan; Refused where there is none."""
        return self.actions.plan(id)

    def view(self, name: str, window_s: float, at: datetime | None = None) -> list[Row]:
        """A canonical view's rows, now or at another time."""
        with Glance(self.rooms.source, at or self._clock.now(), window_s) as glance:
            return glance.rows(name)

    def cost(self, by: str, what_if: Sequence[str] = (), since_s: float = 0.0, *, bill: bool = False) -> dict[str, Any]:
        """GET /api/cost."""
        now = self._clock.now()
        with Glance(self.rooms.source, now) as glance:
            found = costs(glance.rows("cost"), seen_by(glance), by)
            found["prices"] = self.rooms.meter.prices.name
            found["notes"] = list(self.rooms.meter.notes)
            if what_if:
                found["what_if"] = supposed(glance, self.rooms.meter.prices, what_if)
        if since_s:
            found["history"] = history(self.rooms.ledger, now, since_s)
        if bill:
            found["bill"] = billed(self.rooms.bill, self.rooms.ledger, now)
        return found

    @property
    def admin_calls(self) -> int:
        """Requests sent to the cluster's admin API since the start."""
        return sum(self.rooms.admin.calls.values()) + sum(self.rooms.looking.calls.values())

    # What a person asks for

    def propose(self, risk: str | None) -> dict[str, Any]:
        """Plans for one risk, or for every open one, and why there is none where there is none."""
        chosen = [self.risk(risk)] if risk else self.risks()
        plans, refusals = self.actions.propose(chosen)
        return {"plans": to_json(plans), "refusals": to_json(refusals)}

    def approve(self, id: str, *, by: str, note: str) -> Plan:
        """Approves; the steps run in the background."""
        return self.actions.approve(id, by=by, note=note)

    def reject(self, id: str, *, by: str, note: str) -> Plan:
        """It will not run."""
        return self.actions.reject(id, by=by, note=note)

    def rollback(self, id: str, *, by: str, note: str) -> Plan:
        """Takes it back in the background."""
        return self.actions.rollback(id, by=by, note=note)

    def ask(self, question: str) -> dict[str, Any]:
        """An answer with what it rests on."""
        with Glance(self.rooms.source, self._clock.now()) as glance:
            seen = snapshot(
                glance,
                self.rooms.cluster,
                risks=self.risks(),
                silences=self.silences(),
                plans=self.plans(),
                refusals=self.actions.refusals(),
            )
        return self.rooms.words.ask(question, seen)

    def announce(self, said: Announcement) -> dict[str, Any]:
        """Keeps what a person says is going on."""
        told = announce(self.rooms, said, self._clock.now())
        self._herald.publish("note", self._now(), **{name: told[name] for name in ("resource", "detail")})
        return told

    def close(self) -> None:
        """Ends the work, then closes the rooms."""
        self.actions.close()
        self._thread.shutdown()
        self.rooms.close()

    def _now(self) -> str:
        return timestamp(self._clock.now())
