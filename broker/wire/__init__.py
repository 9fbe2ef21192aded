"""Bytes and messages: frames, headers, and a codec for each message. No I/O, no state of the broker.

kio is imported here first, and sees no hypothesis: where that is installed, kio tells it of its types, for tests of its
own. A broker beside its development tools would start a fifth slower for it, and keep what it imports.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def _without(package: str) -> Iterator[None]:
    """An import of it fails in here, unless it was imported before."""
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = cast(ModuleType, None)
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]


with _without("hypothesis"):
    importlib.import_module("kio.static.primitive")
