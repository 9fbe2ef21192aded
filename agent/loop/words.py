"""Questions and explanations: what the explainer is shown of this agent. It reads, and never acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.explain import Answer, Answerer, Explainer, Llm, LlmSettings, Snapshot
from agent.loop.config import LlmConfig
from agent.loop.glance import Glance, Row
from agent.model.clock import Clock
from agent.model.finding import Risk, Silence
from agent.model.plan import Plan, Refusal
from rules.catalogue import Catalogue

VIEWS = (
    "broker broker_load partition partition_load group_state group_lag client_load cost request_stats "
    "object_store_ops wal_state"
)


class Words:
    """The explainer and, where one is configured, a model."""

    def __init__(self, pages: Catalogue, config: LlmConfig, clock: Clock, key: str = "none") -> None:
        self._explainer = Explainer({page.id: page for page in pages})
        self._answerer = Answerer(self._explainer, _llm(config, clock, key))

    @property
    def tokens_this_hour(self) -> int:
        """Of the model; 0 where there is none."""
        return self._answerer.llm.tokens_this_hour if self._answerer.llm else 0

    def explained(self, risk: Risk) -> Risk:
        """The risk with its explanation in full."""
        return replace(risk, explanation=self._explainer.explain(risk))

    def ask(self, question: str, snapshot: Snapshot) -> dict[str, Any]:
        """The answer as JSON."""
        return as_json(self._answerer.ask(question, snapshot))


def snapshot(
    glance: Glance,
    cluster: str,
    *,
    risks: Sequence[Risk],
    silences: Sequence[Silence],
    plans: Sequence[Plan],
    refusals: Sequence[Refusal],
) -> Snapshot:
    """One instant of the cluster, for answering from."""
    views: Mapping[str, list[Row]] = {view: glance.rows(view) for view in VIEWS.split()}
    return Snapshot(
        cluster=cluster,
        at=glance.at,
        risks=tuple(risks),
        silences=tuple(silences),
        plans=tuple(plans),
        refusals=tuple(refusals),
        views={view: rows for view, rows in views.items() if rows},
    )


def as_json(answer: Answer) -> dict[str, Any]:
    """`text`, `citations`, `checked`, `source`, `notes`."""
    return {
        "text": answer.text,
        "citations": list(answer.citations),
        "checked": answer.checked,
        "source": answer.source,
        "notes": list(answer.notes),
    }


def _llm(config: LlmConfig, clock: Clock, key: str) -> Llm | None:
    if not config.base_url:
        return None
    settings = LlmSettings(base_url=config.base_url, model=config.model, api_key=key, redact=config.redact)
    return Llm(settings, clock)
