"""Prometheus's `file_sd`: JSON or YAML files that something else writes, read again when they change.

    [{"targets": ["host:9404"], "labels": {"broker": "1", "__metrics_path__": "/metrics", "__scheme__": "http"}}]

A file is taken whole or not at all: one that is being written, or has a mistake, leaves its targets as they were.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from agent.collect.discovery.finder import MOST_BYTES, CannotFind, Told
from agent.collect.scrape import Target

BROKER_LABELS = ("broker", "broker_id", "node_id")
MOST_FILES = 100
Stamp = tuple[int, int]


class FileFinder:
    """The last part of `pattern` may have `*` in it."""

    every_s = 0.0

    def __init__(self, pattern: str) -> None:
        self.name = f"file {pattern}"
        self._pattern = pattern
        self._known: dict[str, tuple[Stamp, list[Target]]] = {}

    def find(self, told: Told) -> list[Target]:
        pattern = Path(self._pattern)
        paths = sorted(map(str, pattern.parent.glob(pattern.name)))
        if not paths and "*" not in pattern.name:
            raise CannotFind(f"{self._pattern}: no such file")
        if len(paths) > MOST_FILES:
            raise CannotFind(f"{self._pattern}: {len(paths)} files, {MOST_FILES} are read")
        self._known = {path: self._read(path) for path in paths}
        return [target for _, targets in self._known.values() for target in targets]

    def _read(self, path: str) -> tuple[Stamp, list[Target]]:
        try:
            about = Path(path).stat()
            stamp = (about.st_mtime_ns, about.st_size)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known
            if about.st_size > MOST_BYTES:
                raise CannotFind(f"{path}: {about.st_size} bytes, {MOST_BYTES} are read")
            text = Path(path).read_text("utf-8")
            groups = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
        except OSError as error:
            raise CannotFind(f"{path}: {error.strerror}") from error
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            raise CannotFind(f"{path}: {' '.join(str(error).split())[:200]}") from error
        return stamp, _targets(path, groups)

    def close(self) -> None:
        return


def _targets(path: str, groups: Any) -> list[Target]:
    found = []
    for group in _list(path, [] if groups is None else groups, "the file"):
        if not isinstance(group, dict):
            raise CannotFind(f"{path}: a group must have targets and labels")
        labels = group.get("labels") or {}
        if not isinstance(labels, dict):
            raise CannotFind(f"{path}: labels must be names and values")
        scheme, way = labels.get("__scheme__", "http"), str(labels.get("__metrics_path__", "/metrics"))
        if scheme not in ("http", "https"):
            raise CannotFind(f"{path}: __scheme__ {scheme!r} is not http or https")
        broker = next((str(labels[name]) for name in BROKER_LABELS if name in labels), None)
        for address in _list(path, group.get("targets"), "targets"):
            if not isinstance(address, str) or not address or "/" in address or "://" in address:
                raise CannotFind(f"{path}: target {address!r} is not host:port")
            found.append(Target(url=f"{scheme}://{address}/{way.lstrip('/')}", broker=broker))
    return found


def _list(path: str, value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise CannotFind(f"{path}: {what} must be a list")
    return value
