"""Every law has a test that passes, and that fails when the law is broken on purpose."""

import subprocess
import sys

import pytest

from tests.laws.breaks import BREAKS, Break

LAWS = range(1, 16)


def outcome(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "tests.laws.plugin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_every_law_is_broken_at_least_once() -> None:
    assert {one.law for one in BREAKS} == set(LAWS)


def test_the_tests_pass_while_the_laws_hold() -> None:
    done = outcome(*sorted({one.caught_by for one in BREAKS}))
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda one: f"law_{one.law}_{one.name}")
def test_a_broken_law_is_noticed(broken: Break) -> None:
    done = outcome("--break", broken.name, broken.caught_by)
    assert done.returncode == 1, f"{done.returncode}: {done.stdout[-2000:]}"
    assert "1 failed" in done.stdout
