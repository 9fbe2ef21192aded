"""`pytest -p tests.laws.plugin --break NAME`: runs tests against a product in which one law is broken."""

from __future__ import annotations

import pytest

from tests.laws.breaks import BREAKS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--break", dest="broken", choices=[one.name for one in BREAKS])


def pytest_configure(config: pytest.Config) -> None:
    for one in BREAKS:
        if one.name == config.getoption("broken"):
            one.how()
