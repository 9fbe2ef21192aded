"""Questions answered from the snapshot alone: what is asked is matched by its words, what is said is cited.

Nothing here guesses: a question that no matcher knows is answered with what can be asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.explain.busiest import busiest
from agent.explain.explainer import Explainer, cost, headed, measured, name_of, sentence
from agent.explain.snapshot import Answer, Snapshot
from agent.explain.text import HOURS_A_MONTH, cell, clean, duration, listed, money, number, size, words
from agent.model.codec import timestamp
from agent.model.finding import Risk
from agent.model.resource import parts

CAN_ANSWER = (
    "I can answer: what is wrong; why is group G lagging; why is it slow; which broker, topic or client "
    "is the busiest; what does it cost; what would fix it; why is rule R silent; "
    "tell me about broker, topic, group or client X."
)
_INTENTS = (
    ("silent", r"\b(silent|quiet|not fir\w+|no finding|nothing (happen\w*|said|found))\b"),
    ("fix", r"\b(fix\w*|repair\w*|plan|plans|what (should|can|do) (i|we) do|solve\w*)\b"),
    ("cost", r"\b(bill\w*|costs?|money|spen[dt]\w*|expensive|price\w*|dollars?|usd)\b"),
    ("lag", r"\b(lag\w*|behind|catch\w* up|not consum\w*)\b"),
    ("slow", r"\b(slow\w*|latenc\w*|p99|late)\b"),
    ("busy", r"\b(bus(y|ier|iest)|hot(ter|test)?|load(ed)?|most (traffic|bytes|data)|traffic|throughput)\b"),
    ("health", r"\b(wrong|health\w*|problems?|status|broken|ok|okay|issues?|findings?|risks?|alerts?)\b"),
)


class Draft:
    """Sentences with numbered sources."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._sources: list[str] = []

    def say(self, sentence: str, source: str = "") -> None:
        if not source:
            self._lines.append(sentence)
            return
        if source not in self._sources:
            self._sources.append(source)
        self._lines.append(f"{sentence} [{self._sources.index(source) + 1}]")

    def answer(self) -> Answer:
        return Answer(text="\n".join(self._lines), citations=tuple(self._sources), checked=True, source="rules")


def answer(question: str, snapshot: Snapshot, explainer: Explainer) -> Answer:
    """The deterministic answer, in milliseconds."""
    draft = Draft()
    named = mentioned(question, snapshot)
    asked = question.lower()
    for _, name in named:
        asked = asked.replace(name.lower(), " ")
    intent = next((name for name, pattern in _INTENTS if re.search(pattern, asked)), "")
    if intent == "lag":
        _lag(draft, snapshot, explainer, [name for kind, name in named if kind == "group"])
    elif intent == "cost":
        _cost(draft, snapshot, named)
    elif intent == "slow":
        _slow(draft, snapshot)
    elif intent == "fix":
        _fix(draft, snapshot, named)
    elif intent == "silent":
        _silent(draft, snapshot, question)
    elif intent == "busy":
        _busy(draft, snapshot, explainer, question, named)
    elif named:
        _about(draft, snapshot, explainer, named)
    elif intent == "health":
        _health(draft, snapshot)
    else:
        draft.say(f"I do not know how to answer that. {CAN_ANSWER}")
    return draft.answer()


def mentioned(question: str, snapshot: Snapshot) -> list[tuple[str, str]]:
    """The resources that a question names, longest names first; a broker's number only after the word broker."""
    found, taken = [], question
    for kind, name in sorted(snapshot.names(), key=lambda pair: (-len(pair[1]), pair)):
        lead = r"brokers?\s+#?" if kind == "broker" else r"(?<![\w.\-])"
        pattern = lead + re.escape(name) + r"(?![\w\-]|\.\w)"
        said_kind = re.search(rf"\b(topic|group|client|broker)\s+{re.escape(name)}(?![\w\-])", question)
        if re.search(pattern, taken, re.IGNORECASE) and (said_kind is None or said_kind[1] == kind):
            found.append((kind, name))
            taken = taken if said_kind is None else re.sub(pattern, " ", taken, flags=re.IGNORECASE)
    return found


def risk_source(risk: Risk) -> str:
    evidence = risk.latest.evidence
    digest = f", query {evidence[0].query_hash[:12]}" if evidence else ""
    return f"{risk.rule} on {clean(risk.resource)} at {timestamp(risk.latest.at)}{digest}"


def view_source(view: str, snapshot: Snapshot) -> str:
    return f"view {view} at {timestamp(snapshot.at)}"


def risks_about(snapshot: Snapshot, kind: str, name: str) -> list[Risk]:
    return [risk for risk in snapshot.risks if parts(risk.resource)[1:3] == (kind, name)]


def _tell(draft: Draft, risk: Risk) -> None:
    text = f"{sentence(risk)} {measured(risk.latest)} Money: {cost(risk.latest)}"
    draft.say(headed(risk, text), risk_source(risk))


def _health(draft: Draft, snapshot: Snapshot) -> None:
    causes = [risk for risk in snapshot.risks if risk.caused_by is None]
    if not causes:
        draft.say(f"Nothing is wrong that a rule can see. {number(len(snapshot.silences))} rules are silent.")
    for risk in sorted(causes, key=lambda risk: (risk.level, risk.rule, risk.resource)):
        _tell(draft, risk)
        hidden = [other for other in snapshot.risks if other.caused_by == risk.id]
        if hidden:
            draft.say(f"  It explains {listed(f'{o.rule} on {name_of(o.resource)}' for o in hidden)}.")


def _lag(draft: Draft, snapshot: Snapshot, explainer: Explainer, groups: list[str]) -> None:
    worst: dict[str, float] = {}
    for row in snapshot.rows("group_lag"):
        worst[str(row["group_id"])] = worst.get(str(row["group_id"]), 0.0) + float(row.get("lag_records") or 0)
    if not groups and worst:
        groups = [max(worst, key=lambda group: (worst[group], group))]
    if not groups:
        draft.say("No consumer group with committed offsets is known, so no lag is.")
    for group in groups:
        rows = snapshot.rows("group_lag", group_id=group)
        seconds = [float(row["lag_s"]) for row in rows if row.get("lag_s") is not None]
        behind = f"{number(worst.get(group, 0.0))} records behind over {number(len(rows))} partitions"
        oldest = f"; its oldest unread record is {duration(max(seconds))} old" if seconds else ""
        draft.say(f"Group {clean(group)} is {behind}{oldest}.", view_source("group_lag", snapshot))
        for row in snapshot.rows("group_state", group_id=group):
            members = cell("members", row.get("members"))
            draft.say(
                f"Its state is {clean(str(row.get('state')))} with {members} members.",
                view_source("group_state", snapshot),
            )
        about = risks_about(snapshot, "group", group)
        for risk in about:
            draft.say(headed(risk, explainer.explain(risk)), risk_source(risk))
        if not about:
            draft.say("No rule says that this is wrong.")


def _cost(draft: Draft, snapshot: Snapshot, named: list[tuple[str, str]]) -> None:
    rows = snapshot.rows("cost")
    basis = "meter" if any(row.get("basis") == "meter" for row in rows) else "bill"
    known = [row for row in rows if row.get("basis") == basis and row.get("usd_per_hour") is not None]
    for kind, name in named:
        known = [row for row in known if parts(str(row.get("for_resource") or ""))[1:3] == (kind, name)] or known
    by_component: dict[str, float] = {}
    for row in known:
        component = clean(str(row["component"]))
        by_component[component] = by_component.get(component, 0.0) + float(row["usd_per_hour"]) * HOURS_A_MONTH
    if not by_component:
        draft.say("No cost is known yet: the meter needs two scrapes and a price, a bill needs --bill.")
    else:
        source = f"{view_source('cost', snapshot)}, basis {basis}"
        total = sum(by_component.values())
        draft.say(f"It runs at {money(total)} a month, by the {basis}.", source)
        for component, usd in sorted(by_component.items(), key=lambda item: (-item[1], item[0])):
            draft.say(f"- {component}: {money(usd)} a month", source)
    for risk in snapshot.risks:
        if risk.latest.usd_per_month:
            _tell(draft, risk)


_PARTS = (
    ("request_stats", ("broker", "api"), "p99_s"),
    ("wal_state", ("broker",), "append_p99_s"),
    ("object_store_ops", ("broker", "operation"), "p99_s"),
)


def _slow(draft: Draft, snapshot: Snapshot) -> None:
    said = False
    for view, labels, column in _PARTS:
        rows = [row for row in snapshot.rows(view) if row.get(column) is not None]
        if rows:
            worst = max(rows, key=lambda row: float(row[column]))
            where = " ".join(f"{label} {clean(str(worst.get(label)))}" for label in labels)
            draft.say(
                f"Slowest in {words(view)}: {where}, p99 {duration(float(worst[column]))}.", view_source(view, snapshot)
            )
            said = True
    throttled = [row for row in snapshot.rows("request_stats") if row.get("throttle_s")]
    if throttled:
        draft.say(f"{number(len(throttled))} APIs are throttled.", view_source("request_stats", snapshot))
    if not said:
        draft.say("No latency is known: the cluster's metrics have none, or there are no two scrapes yet.")
    for risk in snapshot.risks:
        if risk.rule.startswith(("BAL", "CAP", "DUR", "AVL", "OBJ", "CLI")):
            _tell(draft, risk)


def _busy(draft: Draft, snapshot: Snapshot, explainer: Explainer, question: str, named: list[tuple[str, str]]) -> None:
    said = busiest(question, snapshot)
    for text, view in said:
        draft.say(text, view_source(view, snapshot))
    if not said:
        draft.say("No load is known: it takes two scrapes of the brokers' metrics.")
    _about(draft, snapshot, explainer, named)


def _fix(draft: Draft, snapshot: Snapshot, named: list[tuple[str, str]]) -> None:
    wanted = {risk.id for kind, name in named for risk in risks_about(snapshot, kind, name)}
    plans = [plan for plan in snapshot.plans if plan.state in ("proposed", "approved", "executing", "verifying")]
    for plan in plans:
        if not wanted or wanted & set(plan.risks):
            before, after = number(plan.before.busiest_over_mean), number(plan.after.busiest_over_mean)
            effect = f" Busiest over mean {before} -> {after}." if plan.before.assignment else ""
            draft.say(f"{clean(plan.title)} ({plan.state}).{effect} Risk: {plan.risk}", f"plan {plan.id}")
    for refusal in snapshot.refusals:
        if not wanted or refusal.risk in wanted:
            advice = f" Instead: {refusal.advice}" if refusal.advice else ""
            where = f"{refusal.rule} on {name_of(refusal.resource)}"
            draft.say(
                f"No action for {where}: {refusal.reason}.{advice}", f"{refusal.rule} on {clean(refusal.resource)}"
            )
    if not snapshot.risks:
        draft.say("Nothing is wrong that a rule can see, so there is nothing to fix.")
    elif not plans and not snapshot.refusals:
        draft.say("There is no plan yet: make one with `streampilot plan`.")


def _silent(draft: Draft, snapshot: Snapshot, question: str) -> None:
    rules = {rule.upper() for rule in re.findall(r"\b[A-Za-z]{3}-\d{2}\b", question)}
    chosen = [silence for silence in snapshot.silences if not rules or silence.rule in rules]
    for silence in chosen:
        near = f" The nearest is {name_of(silence.nearest)}" if silence.nearest else ""
        score = f", at {number(100 * silence.score)} % of the limit" if near and silence.score is not None else ""
        draft.say(
            f"{silence.rule}: {clean(silence.reason, 300)}.{near}{score}{'.' if near else ''}", f"rule {silence.rule}"
        )
    firing = [risk for risk in snapshot.risks if risk.rule in rules]
    for risk in firing:
        _tell(draft, risk)
    if not chosen and not firing:
        draft.say(
            f"No rule {listed(sorted(rules)) or 'is silent'}: every rule that ran said something, or none ran yet."
        )


_ABOUT = {
    "broker": (("broker", "broker"), ("broker_load", "broker")),
    "topic": (("partition_load", "topic"),),
    "group": (("group_state", "group_id"), ("group_lag", "group_id")),
    "client": (("client_load", "client_id"),),
}
_HIDDEN = {"cluster", "resource", "as_of", "window_s", "data_age_s"}


def _about(draft: Draft, snapshot: Snapshot, explainer: Explainer, named: list[tuple[str, str]]) -> None:
    for kind, name in named[:3]:
        for view, column in _ABOUT[kind]:
            for row in snapshot.rows(view, **{column: name})[:5]:
                draft.say(f"{kind} {clean(name)}: {_row(row, column)}.", view_source(view, snapshot))
        total = sum(float(row.get("bytes_in_per_s") or 0) for row in snapshot.rows("partition_load", topic=name))
        if kind == "topic" and total:
            draft.say(f"In all {size(total, '/s')} written.", view_source("partition_load", snapshot))
        about = risks_about(snapshot, kind, name)
        for risk in about:
            draft.say(headed(risk, explainer.explain(risk)), risk_source(risk))
        if not about:
            draft.say(f"No rule says that anything is wrong with {kind} {clean(name)}.")


def _row(row: Mapping[str, Any], key: str) -> str:
    shown = [(name, value) for name, value in row.items() if name not in _HIDDEN and name != key and value is not None]
    return "; ".join(
        f"{words(name)} {cell(name, value if isinstance(value, int | float | list) else str(value))}"
        for name, value in shown
    )
