"""The evidence pack a model gets: bounded, delimited, and, where asked for, without any name.

A name becomes a stable alias made of its hash, so the same name has the same alias in every question, and the answer
is mapped back before it is checked.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from agent.explain.answers import risk_source
from agent.explain.explainer import Explainer, headed
from agent.explain.snapshot import Answer, Snapshot
from agent.explain.text import clean

MOST_CHARACTERS = 12_000
MOST_QUESTION_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class Pack:
    text: str
    """What the model may rest on; also what its answer is checked against, with the names put back."""
    question: str
    aliases: dict[str, str]
    """Alias to name; empty without redaction."""

    def restore(self, text: str) -> str:
        """`text` with the aliases replaced by the names."""
        for alias, name in self.aliases.items():
            text = text.replace(alias, clean(name))
        return text


def make_pack(question: str, draft: Answer, snapshot: Snapshot, explainer: Explainer, *, redact: bool) -> Pack:
    """The deterministic answer with its sources first, then every open risk, cut at MOST_CHARACTERS."""
    lines = [draft.text, *(f"[{n}] {source}" for n, source in enumerate(draft.citations, 1))]
    lines += [f"{headed(risk, explainer.explain(risk))}\n({risk_source(risk)})" for risk in snapshot.risks]
    text = "\n\n".join(lines)[:MOST_CHARACTERS]
    asked = clean(question, MOST_QUESTION_CHARACTERS)
    if not redact:
        return Pack(text=text, question=asked, aliases={})
    names = sorted(
        {(kind, name) for kind, name in snapshot.names() if kind != "broker"} | {("cluster", snapshot.cluster)}
    )
    aliases = {f"{kind}_{hashlib.sha256(name.encode()).hexdigest()[:8]}": name for kind, name in names}
    return Pack(text=_hide(text, aliases), question=_hide(asked, aliases), aliases=aliases)


def _hide(text: str, aliases: dict[str, str]) -> str:
    for alias, name in sorted(aliases.items(), key=lambda item: (-len(item[1]), item[0])):
        text = re.sub(rf"(?<![\w]){re.escape(clean(name))}(?![\w])", alias, text)
    return text
