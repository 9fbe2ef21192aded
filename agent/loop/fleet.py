"""Every cluster of one agent. The surfaces ask this object: they name a cluster, or mean all of them, or the only one.

Laws:
1. What is asked for by an id (a finding, a plan) finds its cluster by itself; an id is never of two.
2. A list without a name is of all clusters; what describes one cluster (its cost, an answer) wants a name where there
   are several, and the refusal lists them.
3. No cluster waits for another: each has its own thread, connections and plans. They share the stores, and the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opentelemetry.trace import Tracer

from agent.loop.agent import Agent
from agent.loop.announcements import Announcement, within
from agent.loop.config import AgentConfig
from agent.loop.house import House, open_house, pages_of
from agent.loop.refused import Refused
from agent.loop.rooms import make_rooms, way_to
from agent.model.clock import Clock
from agent.model.codec import timestamp
from agent.model.finding import Risk, Silence
from agent.model.plan import Plan
from agent.model.ward import wards


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the agent itself costs, beside CPU and memory."""

    samples: int
    """Committed since the start."""
    dropped_samples: int
    llm_tokens: int


class Fleet:
    """The clusters of one agent, in the order of the configuration."""

    def __init__(self, house: House, agents: Sequence[Agent]) -> None:
        self.house = house
        self.agents = tuple(agents)
        self.stopping = False
        self._by_name = {agent.rooms.cluster: agent for agent in agents}

    @property
    def several(self) -> bool:
        return len(self.agents) > 1

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    @property
    def ready(self) -> bool:
        """Whether a round of any cluster has been completed."""
        return any(agent.ready for agent in self.agents)

    # Whom a call is about

    def each(self, cluster: str = "") -> list[Agent]:
        """The named one; all where none is named."""
        return [self.one(cluster)] if cluster else list(self.agents)

    def one(self, cluster: str = "") -> Agent:
        """The named one, or the only one; Refused where that is nobody, or could be several."""
        if not cluster and not self.several:
            return self.agents[0]
        if cluster in self._by_name:
            return self._by_name[cluster]
        known = ", ".join(self.names)
        if cluster:
            raise Refused(f"no cluster {cluster!r} is watched", f"the clusters are {known}", number=404)
        raise Refused(
            f"{len(self.agents)} clusters are watched, and none is named",
            f"name one with cluster= (on the command line --cluster): {known}",
            number=400,
        )

    def home(self, resource: str, cluster: str = "") -> Agent:
        """Whose a resource is: by the name that it begins with, else the named one, or the only one."""
        own = self._by_name.get(resource.partition("/")[0])
        return own if own is not None and not cluster else self.one(cluster)

    def of_risk(self, id: str) -> Agent:
        """Whose risk it is; Refused where there is none."""
        for agent in self.agents:
            if agent.knows(id):
                return agent
        raise Refused(f"no finding {id!r}", "list them: streampilot findings --all", number=404)

    def of_plan(self, id: str) -> Agent:
        """Whose plan it is; Refused where there is none."""
        for agent in self.agents:
            if agent.rooms.executor.journal.plan(id) is not None:
                return agent
        raise Refused(f"no plan {id!r}", "list them: streampilot plan", number=404)

    # Of all, or of one

    def risks(self, cluster: str = "", *, every: bool = False) -> list[Risk]:
        """Worst first."""
        found = [risk for agent in self.each(cluster) for risk in agent.risks(every=every)]
        return sorted(found, key=lambda risk: (risk.level, risk.first_seen, risk.id))

    def silences(self, cluster: str = "") -> list[Silence]:
        """Why each quiet rule is quiet, cluster by cluster."""
        return [silence for agent in self.each(cluster) for silence in agent.silences()]

    def plans(self, cluster: str = "") -> list[Plan]:
        """The newest first."""
        found = [plan for agent in self.each(cluster) for plan in agent.plans()]
        return sorted(found, key=lambda plan: (plan.created_at, plan.id), reverse=True)

    def view(self, name: str, window_s: float, cluster: str = "") -> list[dict[str, Any]]:
        """A canonical view's rows; each says its cluster."""
        return [row for agent in self.each(cluster) for row in agent.view(name, window_s)]

    def series(self, name: str, labels: Sequence[str], window_s: float, cluster: str = "") -> dict[str, Any]:
        """Series with their points; all clusters' are in one store."""
        own = [f"cluster={self.one(cluster).rooms.cluster}"] if cluster else []
        return self.agents[0].queries.series(name, [*labels, *own], window_s)

    def status(self, cluster: str = "") -> dict[str, Any]:
        """GET /api/status: of one cluster, or of all, with each one's rounds and sources under its name."""
        if cluster or not self.several:
            return self.one(cluster).status()
        each = {agent.rooms.cluster: agent.status() for agent in self.agents}
        first = next(iter(each.values()))
        own = ("ready", "rounds", "findings", "sources")
        rounds = [known["rounds"] for known in each.values()]
        return {
            **first,
            "ready": self.ready,
            "cluster": "",
            "rounds": {
                **{name: sum(known[name] for known in rounds) for name in ("completed", "overruns", "failures")},
                "last_error": "; ".join(
                    f"{name}: {known['rounds']['last_error']}"
                    for name, known in each.items()
                    if known["rounds"]["last_error"]
                ),
                "durations_s": {},
            },
            "findings": sum(known["findings"] for known in each.values()),
            "sources": [row for known in each.values() for row in known["sources"]],
            "notes": list(dict.fromkeys(note for known in each.values() for note in known["notes"])),
            "each": {name: {key: known[key] for key in own} for name, known in each.items()},
        }

    def propose(self, risk: str, cluster: str = "") -> dict[str, Any]:
        """Plans for one risk, or for every open one."""
        asked = [self.of_risk(risk)] if risk else self.each(cluster)
        found = [agent.propose(risk or None) for agent in asked]
        return {name: [one for each in found for one in each[name]] for name in ("plans", "refusals")}

    def announce(self, said: Announcement, cluster: str = "") -> dict[str, Any]:
        """Keeps what a person says is going on, for the cluster that its resource is of."""
        return self.home(said.resource, cluster).announce(said)

    def mute(self, mute: dict[str, Any], cluster: str = "", *, by: str) -> dict[str, Any]:
        """Keeps a mute; it ends by itself. With a cluster it is of that one's resources only."""
        if cluster:
            mute = {**mute, "resource": within(self.one(cluster).rooms.cluster, mute["resource"])}
        if not mute["resource"] and not mute["rule"]:
            raise Refused("a mute of everything", "name a rule, a resource, or both")
        id = f"mute-{timestamp(self._now())}"
        self.house.state.put("mutes", id, mute)
        self.house.state.append_audit({"at": timestamp(self._now()), "what": "mute", "by": by, "id": id, **mute})
        return {"id": id, **mute}

    # Of the agent itself

    def audit(self, limit: int) -> dict[str, Any]:
        """The newest entries, and whether the chain is whole."""
        problem = self.house.state.verify_audit()
        return {"intact": problem is None, "reason": problem or "", "entries": self.house.state.audit(limit)}

    def usage(self) -> Usage:
        """What the agent itself costs."""
        store = self.house.store
        return Usage(samples=store.stored, dropped_samples=store.dropped, llm_tokens=self.house.words.tokens_this_hour)

    def close(self) -> None:
        """Ends streams and work, then closes the rooms, then the house."""
        self.stopping = True
        for agent in self.agents:
            agent.rooms.patience.send_home()
        for agent in self.agents:
            agent.close()
        self.house.close()

    def _now(self) -> datetime:
        return self.house.clock.now()


def make_fleet(config: AgentConfig, clock: Clock, tracer: Tracer | None = None) -> Fleet:
    """Everything opened; Refused says what would not. An only cluster must answer; of several each may come later."""
    catalogue = pages_of(config)
    several = len(config.clusters) > 1
    ways = [way_to(watched, clock, reach=not several) for watched in config.clusters]
    house = open_house(config, clock, catalogue, tracer)
    own = wards([way.cluster for way in ways])
    return Fleet(house, [Agent(make_rooms(house, way, ward)) for way, ward in zip(ways, own, strict=True)])
