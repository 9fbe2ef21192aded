"""OTLP's names as Prometheus writes them, so that one query fits what was scraped and what was pushed.

`http.server.duration` in `s` is `http_server_duration_seconds`; a monotonic sum ends in `_total`, a gauge of unit `1`
in `_ratio`; a resource is `job` and `instance`, and what else is known of it is the labels of `target_info`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from agent.store.samples import Labels

UNITS: Mapping[str, str] = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tebibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes", "B": "bytes",
    "KB": "kilobytes", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "m": "meters", "V": "volts",
    "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
PER: Mapping[str, str] = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
IDENTITY = frozenset({"service.name", "service.namespace", "service.instance.id"})
"""The resource's attributes that `job` and `instance` are made of."""
_WORDS = re.compile(r"[a-zA-Z0-9:]+")
_ODD = re.compile(r"[^a-zA-Z0-9_]")
_MOST_DEPTH = 8


@lru_cache(maxsize=10_000)
def metric_name(name: str, unit: str, *, monotonic: bool = False, gauge: bool = False) -> str:
    """The name with its unit and suffix; empty for one that has no letter or digit."""
    words = _WORDS.findall(name)
    if not words:
        return ""
    main, _, per = unit.strip().partition("/")
    for word in _unit_words(main, UNITS):
        if word not in words:
            words.append(word)
    for word in _unit_words(per, PER):
        if word not in words:
            words += ["per", word]
    if monotonic:
        words = [word for word in words if word != "total"] + ["total"]
    if gauge and unit.strip() == "1":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    joined = "_".join(words)
    return f"_{joined}" if joined[0].isdigit() else joined


def _unit_words(unit: str, known: Mapping[str, str]) -> list[str]:
    unit = unit.strip()
    if not unit or "{" in unit or "}" in unit:
        return []
    spelled = known.get(unit, unit)
    return ["_".join(_WORDS.findall(spelled))] if _WORDS.search(spelled) else []


@lru_cache(maxsize=10_000)
def label_name(name: str) -> str:
    """A label's name: what is odd in it becomes `_`."""
    plain = _ODD.sub("_", name) or "_"
    if plain[0].isdigit():
        return f"key_{plain}"
    if plain.startswith("_") and not plain.startswith("__"):
        return f"key{plain}"
    return plain


def labels_of(attributes: Iterable[KeyValue], fixed: Labels = ()) -> Labels:
    """Attributes as labels, by name; two that come to one name are joined by `;`, and `fixed` ones win."""
    found: dict[str, str] = {}
    for pair in attributes:
        name, value = label_name(pair.key), text_of(pair.value)
        if value:
            found[name] = f"{found[name]};{value}" if name in found else value
    found.update(fixed)
    return tuple(sorted(found.items()))


def text_of(value: AnyValue) -> str:
    """A value as a label holds it."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    plain = _plain(value, 0)
    return plain if isinstance(plain, str) else json.dumps(plain, separators=(",", ":"), sort_keys=True)


def _plain(value: AnyValue, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > _MOST_DEPTH:
        return ""
    if kind == "array_value":
        return [_plain(each, depth + 1) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: _plain(each.value, depth + 1) for each in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def job_and_instance(attributes: Iterable[KeyValue]) -> Labels:
    """Who pushed: `job` of the service's namespace and name, `instance` of its id, where they are said."""
    said = {pair.key: text_of(pair.value) for pair in attributes if pair.key in IDENTITY}
    job = "/".join(part for part in (said.get("service.namespace", ""), said.get("service.name", "")) if part)
    found = (("instance", said.get("service.instance.id", "")), ("job", job))
    return tuple(pair for pair in found if pair[1])
