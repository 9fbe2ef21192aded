"""The order of the tests, and how they are collected.

Python's cycle collector stays out of the way while thousands of tests are collected, which is a sixth of what that
costs, and never walks again what was imported for them. Tests that start whole clusters come first with
each worker: one of them that begins last is waited for by all the others.
"""

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--dist worksteal` begins by giving each worker a run of the tests, as long as the others'."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    heavy, others = [item for item in items if is_heavy(item)], [item for item in items if not is_heavy(item)]
    modules = list(dict.fromkeys(item.path for item in heavy))
    items.clear()
    for worker in range(workers):
        mine = set(modules[worker::workers])
        first = [item for item in heavy if item.path in mine]
        rest = -(-len(others) // (workers - worker))
        items += first + others[:rest]
        del others[:rest]


def is_heavy(item: pytest.Item) -> bool:
    return item.get_closest_marker("heavy") is not None
