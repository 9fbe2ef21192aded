"""Words: deterministic by default, a model's where one is configured and what it says can be checked. Reads only."""

from agent.explain.answerer import Answerer
from agent.explain.explainer import Explainer
from agent.explain.llm import Llm, LlmSettings
from agent.explain.snapshot import Answer, Snapshot

__all__ = ["Answer", "Answerer", "Explainer", "Llm", "LlmSettings", "Snapshot"]
