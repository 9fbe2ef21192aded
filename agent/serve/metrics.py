"""The agent's own `/metrics`: rounds, findings, plans, savings, and what the agent itself costs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.loop.agent import Agent
from agent.loop.fleet import Fleet

NAMES = frozenset(
    [
        "streampilot_agent_rounds_total",
        "streampilot_agent_round_overruns_total",
        "streampilot_agent_round_failures_total",
        "streampilot_agent_round_duration_seconds",
        "streampilot_agent_last_round_timestamp_seconds",
        "streampilot_findings",
        "streampilot_findings_usd_per_month",
        "streampilot_plans",
        "streampilot_plans_usd_per_month",
        "streampilot_cost_usd_per_hour",
        "streampilot_scrape_up",
        "streampilot_agent_samples_total",
        "streampilot_agent_dropped_samples_total",
        "streampilot_agent_damaged_files",
        "streampilot_agent_admin_calls_total",
        "streampilot_agent_llm_tokens_last_hour",
        "streampilot_agent_cpu_seconds_total",
        "streampilot_agent_resident_memory_bytes",
    ]
)
"""Every name this agent exposes: dashboards may use these and the brokers' own, and a test holds them to it."""


class AgentMetrics:
    """A registry of one collector that reads the agent when it is scraped: nothing is counted twice.

    Where several clusters are watched, what is about one of them has the label `cluster`.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._process = psutil.Process(os.getpid())
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._rounds()
        yield from self._findings()
        yield from self._plans()
        yield from self._sources()
        yield from self._itself()

    def describe(self) -> list[Metric]:
        """Nothing up front: the agent may not have had a round yet when it is registered."""
        return []

    def _each(self) -> Iterator[tuple[list[str], Agent]]:
        """Every cluster with the values of the labels that name it."""
        for agent in self._fleet.agents:
            yield [agent.rooms.cluster] if self._fleet.several else [], agent

    def _family(
        self, kind: type[GaugeMetricFamily | CounterMetricFamily], name: str, about: str, labels: Sequence[str] = ()
    ) -> GaugeMetricFamily | CounterMetricFamily:
        return kind(name, about, labels=[*(["cluster"] if self._fleet.several else []), *labels])

    def _rounds(self) -> Iterator[Metric]:
        done = self._family(CounterMetricFamily, "streampilot_agent_rounds", "Rounds completed")
        long = self._family(
            CounterMetricFamily, "streampilot_agent_round_overruns", "Rounds longer than the scrape interval"
        )
        failed = self._family(
            CounterMetricFamily, "streampilot_agent_round_failures", "Rounds that could not be completed"
        )
        last = self._family(
            GaugeMetricFamily, "streampilot_agent_last_round_timestamp_seconds", "End of the last round"
        )
        duration = self._family(
            GaugeMetricFamily, "streampilot_agent_round_duration_seconds", "The last round, by phase", ["phase"]
        )
        for own, agent in self._each():
            rounds = agent.rounds
            done.add_metric(own, rounds.completed)
            long.add_metric(own, rounds.overruns)
            failed.add_metric(own, rounds.failures)
            last.add_metric(own, rounds.last_end)
            for phase, seconds in list(rounds.durations.items()):
                duration.add_metric([*own, phase], seconds)
        yield from (done, long, failed, last, duration)

    def _findings(self) -> Iterator[Metric]:
        count = self._family(GaugeMetricFamily, "streampilot_findings", "Open findings", ["rule", "level"])
        money = self._family(
            GaugeMetricFamily, "streampilot_findings_usd_per_month", "What the open findings cost a month"
        )
        for own, agent in self._each():
            risks = agent.risks()
            for (rule, level), number in Counter((risk.rule, risk.level) for risk in risks).items():
                count.add_metric([*own, rule, level], number)
            money.add_metric(own, sum(risk.latest.usd_per_month or 0.0 for risk in risks))
        yield from (count, money)

    def _plans(self) -> Iterator[Metric]:
        states = self._family(GaugeMetricFamily, "streampilot_plans", "Plans by state", ["state"])
        saved = self._family(
            GaugeMetricFamily, "streampilot_plans_usd_per_month", "Savings of plans by state", ["state"]
        )
        cost = self._family(GaugeMetricFamily, "streampilot_cost_usd_per_hour", "What the cluster costs an hour")
        for own, agent in self._each():
            plans = agent.plans()
            for state, number in sorted(Counter(plan.state for plan in plans).items()):
                states.add_metric([*own, state], number)
                saved.add_metric([*own, state], sum(p.usd_per_month or 0.0 for p in plans if p.state == state))
            if (hourly := agent.overview().get("usd_per_hour")) is not None:
                cost.add_metric(own, hourly)
        yield from (states, saved)
        if cost.samples:
            yield cost

    def _sources(self) -> Iterator[Metric]:
        up = self._family(
            GaugeMetricFamily, "streampilot_scrape_up", "1 where the target answered last time", ["target"]
        )
        calls = self._family(CounterMetricFamily, "streampilot_agent_admin_calls", "Kafka admin requests sent")
        for own, agent in self._each():
            for target in agent.sources():
                up.add_metric([*own, str(target["target"])], float(bool(target["up"])))
            calls.add_metric(own, agent.admin_calls)
        yield from (up, calls)

    def _itself(self) -> Iterator[Metric]:
        usage = self._fleet.usage()
        yield _counter("streampilot_agent_samples", "Samples stored", usage.samples)
        yield _counter("streampilot_agent_dropped_samples", "Samples refused or lost, counted", usage.dropped_samples)
        damaged = GaugeMetricFamily(
            "streampilot_agent_damaged_files", "Files of the store that are damaged or gone, by kind", labels=["kind"]
        )
        for kind, number in sorted(self._fleet.house.store.put_aside().items()):
            damaged.add_metric([kind], number)
        yield damaged
        yield _gauge("streampilot_agent_llm_tokens_last_hour", "Model tokens, last hour", usage.llm_tokens)
        times = self._process.cpu_times()
        yield _counter("streampilot_agent_cpu_seconds", "CPU this agent used", times.user + times.system)
        yield _gauge(
            "streampilot_agent_resident_memory_bytes", "Memory this agent holds", self._process.memory_info().rss
        )


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(name, about, value=value)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)
