"""The agent's own `/metrics`: rounds, findings, plans, savings, and what the agent itself costs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.loop.agent import Agent

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
        "streampilot_agent_admin_calls_total",
        "streampilot_agent_llm_tokens_last_hour",
        "streampilot_agent_cpu_seconds_total",
        "streampilot_agent_resident_memory_bytes",
    ]
)
"""Every name this agent exposes: dashboards may use these and the brokers' own, and a test holds them to it."""


class AgentMetrics:
    """A registry of one collector that reads the agent when it is scraped: nothing is counted twice."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._process = psutil.Process(os.getpid())
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._rounds()
        yield from self._findings()
        yield from self._sources()
        yield from self._itself()

    def describe(self) -> list[Metric]:
        """Nothing up front: the agent may not have had a round yet when it is registered."""
        return []

    def _rounds(self) -> Iterator[Metric]:
        rounds = self._agent.rounds
        yield _counter("streampilot_agent_rounds", "Rounds completed", rounds.completed)
        yield _counter("streampilot_agent_round_overruns", "Rounds longer than the scrape interval", rounds.overruns)
        yield _counter("streampilot_agent_round_failures", "Rounds that could not be completed", rounds.failures)
        yield _gauge("streampilot_agent_last_round_timestamp_seconds", "End of the last round", rounds.last_end)
        duration = GaugeMetricFamily(
            "streampilot_agent_round_duration_seconds", "The last round, by phase", labels=["phase"]
        )
        for phase, seconds in rounds.durations.items():
            duration.add_metric([phase], seconds)
        yield duration

    def _findings(self) -> Iterator[Metric]:
        risks = self._agent.risks()
        count = GaugeMetricFamily("streampilot_findings", "Open findings", labels=["rule", "level"])
        for (rule, level), number in Counter((risk.rule, risk.level) for risk in risks).items():
            count.add_metric([rule, level], number)
        yield count
        money = sum(risk.latest.usd_per_month or 0.0 for risk in risks)
        yield _gauge("streampilot_findings_usd_per_month", "What the open findings cost a month", money)
        plans = self._agent.plans()
        states = GaugeMetricFamily("streampilot_plans", "Plans by state", labels=["state"])
        for state, number in Counter(plan.state for plan in plans).items():
            states.add_metric([state], number)
        yield states
        saved = GaugeMetricFamily("streampilot_plans_usd_per_month", "Savings of plans by state", labels=["state"])
        for state in sorted({plan.state for plan in plans}):
            saved.add_metric([state], sum(plan.usd_per_month or 0.0 for plan in plans if plan.state == state))
        yield saved
        cost = self._agent.overview().get("usd_per_hour")
        if cost is not None:
            yield _gauge("streampilot_cost_usd_per_hour", "What the cluster costs an hour", cost)

    def _sources(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("streampilot_scrape_up", "1 where the target answered last time", labels=["target"])
        for target in self._agent.sources():
            up.add_metric([str(target["target"])], float(bool(target["up"])))
        yield up

    def _itself(self) -> Iterator[Metric]:
        usage = self._agent.usage()
        yield _counter("streampilot_agent_samples", "Samples stored", usage.samples)
        yield _counter("streampilot_agent_dropped_samples", "Samples refused or lost, counted", usage.dropped_samples)
        yield _counter("streampilot_agent_admin_calls", "Kafka admin requests sent", usage.admin_calls)
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
