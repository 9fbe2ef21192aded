"""Which broker, topic or client carries the most: sums over the rows of a view, and the share of all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.explain.snapshot import Snapshot
from agent.explain.text import cell, clean, number, size

_MOST = 3


@dataclass(frozen=True, kw_only=True)
class _Load:
    """Where a kind's traffic is found."""

    view: str
    column: str
    measures: Mapping[str, str]
    """Column to what it is called; what carries the most is ranked by their sum."""


_KINDS: Mapping[str, _Load] = {
    "topic": _Load(
        view="partition_load", column="topic", measures={"bytes_in_per_s": "written", "bytes_out_per_s": "read"}
    ),
    "client": _Load(view="client_load", column="client_id", measures={"bytes_per_s": "moved"}),
    "broker": _Load(
        view="broker_load", column="broker", measures={"bytes_in_per_s": "written", "bytes_out_per_s": "read"}
    ),
}
_CALLED = (("topic", r"\btopics?\b"), ("client", r"\b(clients?|applications?|apps?|producers?|consumers?)\b"))


def busiest(question: str, snapshot: Snapshot) -> list[tuple[str, str]]:
    """Sentences, each with the view it rests on; brokers where the question names no other kind. Empty: not known."""
    kind = next((kind for kind, pattern in _CALLED if re.search(pattern, question.lower())), "broker")
    load = _KINDS[kind]
    sums: dict[str, dict[str, float]] = {}
    for row in snapshot.rows(load.view):
        known = {name: float(row[name]) for name in load.measures if row.get(name) is not None}
        if known and row.get(load.column) is not None:
            of_one = sums.setdefault(str(row[load.column]), {})
            for name, value in known.items():
                of_one[name] = of_one.get(name, 0.0) + value
    ranked = sorted(sums, key=lambda name: (-sum(sums[name].values()), name))
    total = sum(sum(of_one.values()) for of_one in sums.values())
    said = []
    for place, name in enumerate(ranked[:_MOST]):
        lead = f"The busiest {kind} is {clean(name)}" if place == 0 else f"Then {kind} {clean(name)}"
        shown = ", ".join(f"{size(value, '/s')} {load.measures[column]}" for column, value in sums[name].items())
        share = f", {number(100 * sum(sums[name].values()) / total)} % of all" if total else ""
        said.append((f"{lead}: {shown}{share}{_more(snapshot, kind, name)}.", load.view))
    return said


def _more(snapshot: Snapshot, kind: str, name: str) -> str:
    """What else is known of a broker's work."""
    rows = snapshot.rows("broker_load", broker=name) if kind == "broker" else []
    known = [
        (column, row[column]) for row in rows for column in ("leaders", "cpu_share") if row.get(column) is not None
    ]
    words = {"leaders": "leaders {}", "cpu_share": "CPU {}"}
    return "".join(f"; {words[column].format(cell(column, value))}" for column, value in known)
