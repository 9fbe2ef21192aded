"""`streampilot demo`: the options, the directory, the report and the exit code."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, get_args

from agent.demo.cluster import LOG
from agent.demo.errors import DemoError
from agent.demo.narrate import Narrator
from agent.demo.plant import drawn_plants
from agent.demo.scenario import PLANTS, Plant
from agent.model.clock import SystemClock

if TYPE_CHECKING:
    from agent.demo.run import Options

COULD_NOT = 2
INTERRUPTED = 130
TIME_SCALE = 4.0


def main(argv: Sequence[str] | None = None) -> int:
    """0: everything held; 1: something did not; 2: the demo could not run; 130: interrupted."""
    arguments = _parser().parse_args(argv)
    if importlib.util.find_spec("confluent_kafka") is None:
        return _complain("the demo's clients need confluent-kafka", 'pip install "streampilot[demo]"')
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    narrator = Narrator(sys.stderr, SystemClock())
    try:
        with _directory(arguments.dir, keep=arguments.keep, narrator=narrator) as directory:
            with _log_kept_unless_held(directory, arguments.report, narrator) as held:
                status = _play(arguments, directory, narrator)
                held.append(not status)
            return status
    except DemoError as error:
        return _complain(str(error), error.next_step)
    except KeyboardInterrupt:
        narrator.say("interrupted; everything that was started is stopped")
        return INTERRUPTED


def _play(arguments: argparse.Namespace, directory: Path, narrator: Narrator) -> int:
    from agent.demo.report import failures, to_document
    from agent.demo.run import play
    from agent.demo.tables import render

    outcome = play(_options(arguments, directory), narrator)
    document = json.dumps(to_document(outcome), indent=2, sort_keys=False, allow_nan=False)
    arguments.report.write_text(document + "\n", encoding="utf-8")
    sys.stdout.write("\n" + render(outcome) + f"written to {arguments.report}\n")
    sys.stdout.flush()
    return 1 if failures(outcome) else 0


def _options(arguments: argparse.Namespace, directory: Path) -> Options:
    from agent.demo.run import Options

    return Options(
        seed=arguments.seed,
        plants=drawn_plants(arguments.seed) if arguments.plant is None else arguments.plant,
        directory=directory,
        time_scale=arguments.time_scale,
        attended=not arguments.plain and sys.stdin.isatty() and sys.stdout.isatty(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streampilot demo",
        description="A live cluster with planted problems, which the agent finds, fixes and proves fixed.",
        epilog=f"Plants: {', '.join(PLANTS)}; all; none. Exit codes: 0 everything held, 1 not, 2 could not run.",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="names, brokers, magnitudes; and the plants without --plant"
    )
    parser.add_argument("--plant", type=plants, metavar="LIST", help="comma-separated problems to plant, all, or none")
    parser.add_argument("--plain", action="store_true", help="narrate even at a terminal, and approve the safe plan")
    parser.add_argument("--dir", type=Path, help="an empty directory to work in, kept (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    parser.add_argument("--report", type=Path, default=Path("demo-report.json"), help="where the report goes")
    parser.add_argument(
        "--time-scale", type=_positive, default=TIME_SCALE, help="divide the rule pages' durations (default 4)"
    )
    return parser


def plants(text: str) -> tuple[Plant, ...]:
    """`hot-key,cross-zone`, `all`, `none` or nothing."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return PLANTS
    if names == ["none"]:
        return ()
    for name in names:
        if name not in get_args(Plant):
            raise argparse.ArgumentTypeError(f"{name!r} is no plant; choose from {', '.join(PLANTS)}, all, none")
    return tuple(plant for plant in PLANTS if plant in names)


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if float(text) > 0:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


@contextlib.contextmanager
def _directory(wanted: Path | None, *, keep: bool, narrator: Narrator) -> Iterator[Path]:
    """A temporary directory that goes away, or the empty one that was named, which stays."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        if any(wanted.iterdir()):
            raise DemoError(f"{wanted} is not empty", "name an empty or a new directory")
        yield wanted.absolute()
        return
    directory = Path(tempfile.mkdtemp(prefix="streampilot-demo-"))
    try:
        yield directory
    finally:
        if keep:
            narrator.say(f"kept {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _log_kept_unless_held(directory: Path, report: Path, narrator: Narrator) -> Iterator[list[bool]]:
    """What the cluster said is kept beside the report, unless the body says that everything held."""
    held: list[bool] = []
    log, kept = directory / LOG, report.with_suffix(".log")
    try:
        yield held
    except KeyboardInterrupt:
        held.append(True)
        raise
    finally:
        if not any(held) and log.exists():
            shutil.copyfile(log, kept)
            narrator.say(f"what the cluster said is in {kept}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(what: str, next_step: str) -> int:
    sys.stderr.write(f"streampilot demo: {what}; {next_step}\n")
    return COULD_NOT


if __name__ == "__main__":
    sys.exit(main())
