"""Cores kept apart, so that what is measured of a broker is not the load generator's use of its core."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def apart() -> Iterator[Callable[[], None]]:
    """What is started within has the first core to itself, until the function given is called: from then on, what is
    started, and the caller, have the others. One core is shared; afterwards the caller has what it had.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    try:
        yield lambda: os.sched_setaffinity(0, cores[1:] or cores)
    finally:
        os.sched_setaffinity(0, cores)
