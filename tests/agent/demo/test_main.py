"""The command line: what it refuses, in one line, before it starts anything."""

import argparse
from pathlib import Path

import pytest

from agent.demo.main import main, plants
from agent.demo.narrate import load_picture
from agent.demo.scenario import PLANTS


def test_plants_are_named_or_all_or_none() -> None:
    assert plants("all") == PLANTS
    assert plants("none") == ()
    assert plants("") == ()
    assert plants("cross-zone, hot-key") == ("hot-key", "cross-zone")


def test_an_unknown_plant_is_refused_by_name() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="'hot-potato' is no plant; choose from hot-broker"):
        plants("hot-potato")


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("data")
    assert main(["--plain", "--dir", str(tmp_path)]) == 2
    assert "is not empty; name an empty or a new directory" in capsys.readouterr().err


def test_the_load_picture_marks_the_broker_over_the_limit() -> None:
    hot, cool, _ = load_picture({"0": 4e6, "1": 1e6, "2": 1e6})
    assert "!" in hot
    assert "2.00 of the mean" in hot
    assert "|" in cool
