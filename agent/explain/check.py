"""Whether each sentence of a model's answer rests on the evidence.

A sentence is kept when every number in it is a number of the pack, rounded as it was written, and every name in it is
in the pack. A name is whatever looks like an identifier, and whatever follows the words broker, topic, group, client.
Erring on the side of leaving out is right: the deterministic answer is always there.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_NUMBER = re.compile(r"(?<![\w.\-])[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SPELLED = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty"
)
_WORDS = {word: str(value) for value, word in enumerate(re.findall(r"\w+", _SPELLED), 2)} | {
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
    "half": "0.5",
}
_IDENTIFIER = re.compile(r"[^\s,;:!?()\[\]\"'`]*[A-Za-z][^\s,;:!?()\[\]\"'`]*")
_NAMED = re.compile(
    r"\b(?:brokers?|topics?|groups?|clients?|partitions?|bucket|producer|consumer)\s+[\"'`]?([^\s\"'`,;:!?()]+)", re.I
)
_QUOTED = re.compile(r"[`\"“]([^`\"”\s]+)[`\"”]")
_CITATION = re.compile(r"\[\d+\]")
_ORDINAL = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+")
_LABELS = re.compile(r"\[\d+\]|\d{4}-\d\d-\d\dT[\d:.]+Z|query [0-9a-f]{6,}")
"""Numbers of the evidence that measure nothing: what is cited, when, and by which query."""
_SENTENCE = re.compile(r"(?<=[^\d\s][.!?])\s+(?=[\"'`A-Z\[\-*\d])|\n+")


def check(text: str, evidence: str) -> tuple[list[str], list[str]]:
    """The sentences that hold, and those that do not."""
    numbers = _numbers(_LABELS.sub(" ", evidence))
    known = {word.lower() for word in _tokens(evidence)}
    kept: list[str] = []
    left_out: list[str] = []
    for sentence in filter(None, (part.strip() for part in _SENTENCE.split(text))):
        bare = _CITATION.sub("", _ORDINAL.sub("", sentence))
        holds = all(_is_known(number, numbers) for number in _numbers(bare)) and _names(bare) <= known
        (kept if holds else left_out).append(sentence)
    return kept, left_out


def _numbers(text: str) -> set[str]:
    digits = {match.replace(",", "").lstrip("+") for match in _NUMBER.findall(text)}
    spelled = {_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _WORDS}
    return digits | spelled


def _is_known(said: str, known: set[str]) -> bool:
    """Whether some known number, rounded to the decimals that were said, is this one."""
    if said in known:
        return True
    try:
        value = Decimal(said)
        step = Decimal(1).scaleb(min(int(value.as_tuple().exponent), 0))
        return any(Decimal(number).quantize(step) == value for number in known)
    except (InvalidOperation, ValueError):
        return False


def _tokens(text: str) -> set[str]:
    """Every word, and every word without the punctuation around it or the slashes within."""
    found: set[str] = set()
    for word in _IDENTIFIER.findall(text) + re.findall(r"\d+", text):
        bare = word.strip(".…*_#‹›")
        found |= {word, bare, *bare.split("/"), *re.findall(r"\w+", bare)}
    return found


def _names(sentence: str) -> set[str]:
    """What in a sentence must be known: identifiers, quoted words, and what follows the name of a kind."""
    looks = {
        w.strip(".…*_#") for w in _IDENTIFIER.findall(sentence) if re.search(r"\w[-_./@#]\w|[A-Za-z]\d|\d[A-Za-z]", w)
    }
    after = {word.strip(".…*#") for word in _NAMED.findall(sentence)}
    quoted = {word.strip(".…*#") for word in _QUOTED.findall(sentence)}
    return {name.lower() for name in looks | (after - _COMMON) | quoted if name} - _COMMON


_COMMON = frozenset(
    re.findall(
        r"\S+",
        "is are was were has have had in on of to and or the a an that which who with without for from by at as it its "
        "this these those will would can could should may might must does do did does not no than then so because "
        "while when lags lagging carries leads needs owns holds sends reads writes receives gets stays moves more less "
        "all each every any some most only also still now there here up down out off over under between be been being "
        "e.g i.e and/or",
    )
)
