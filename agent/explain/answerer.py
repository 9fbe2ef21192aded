"""Answers: the rules' own words always, a model's words where one is configured and what it says holds.

The model never sees more than the pack and never acts; a sentence of it that names a number or a thing that is not in
the pack is left out, and that is said.
"""

from __future__ import annotations

from dataclasses import replace

from agent.explain import answers
from agent.explain.check import check
from agent.explain.explainer import Explainer
from agent.explain.llm import Llm, LlmUnavailable
from agent.explain.pack import make_pack
from agent.explain.snapshot import Answer, Snapshot
from agent.explain.text import clean


class Answerer:
    def __init__(self, explainer: Explainer, llm: Llm | None = None) -> None:
        self._explainer = explainer
        self.llm = llm

    def at_once(self, question: str, snapshot: Snapshot) -> Answer:
        """The deterministic answer, in milliseconds."""
        return answers.answer(question, snapshot, self._explainer)

    def ask(self, question: str, snapshot: Snapshot) -> Answer:
        """The model's checked answer, else the deterministic one with a note why."""
        draft = self.at_once(question, snapshot)
        if self.llm is None:
            return draft
        pack = make_pack(question, draft, snapshot, self._explainer, redact=self.llm.settings.redact)
        try:
            said = pack.restore(self.llm.complete(pack))
        except LlmUnavailable as error:
            return replace(draft, notes=(str(error),))
        lines = [clean(line, 2000) for line in said.splitlines() if line.strip()]
        kept, left_out = check("\n".join(lines), pack.restore(pack.text))
        if not kept:
            return replace(draft, notes=("nothing the model said could be checked; these are the rules' own words",))
        note = f"{len(left_out)} of the model's sentences could not be checked and were left out"
        return Answer(
            text="\n".join(kept),
            citations=draft.citations,
            checked=True,
            source=self.llm.settings.model,
            notes=(note,) if left_out else (),
        )
