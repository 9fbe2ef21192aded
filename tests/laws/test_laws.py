"""Every law has a test that passes, and that fails when the law is broken on purpose."""

from collections.abc import Iterator

import pytest

from tests.laws.breaks import BREAKS, Break
from tests.laws.runner import Runner

LAWS = range(1, 16)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    made = Runner()
    yield made
    made.close()


def outcome(runner: Runner, *arguments: str) -> tuple[int, str]:
    return runner.run("-x", "-p", "no:cacheprovider", "-p", "tests.laws.plugin", *arguments)


def test_every_law_is_broken_at_least_once() -> None:
    assert {one.law for one in BREAKS} == set(LAWS)


def test_the_tests_pass_while_the_laws_hold(runner: Runner) -> None:
    code, said = outcome(runner, *sorted({one.caught_by for one in BREAKS}))
    assert code == 0, said[-2000:]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda one: f"law_{one.law}_{one.name}")
def test_a_broken_law_is_noticed(runner: Runner, broken: Break) -> None:
    code, said = outcome(runner, "--break", broken.name, broken.caught_by)
    assert code == 1, f"{code}: {said[-2000:]}"
    assert "1 failed" in said
