"""One client module in a process of its own, by whatever Python has that client: `python -m tests.clients.one`.

    one MODULE describe FILE     writes what the module says of itself to FILE
    one MODULE COLUMN FILE       runs the cell on the pickled ground in FILE.ground; writes its faults to FILE

A process of its own: a client that hangs or crashes takes one cell with it, and stdout stays the client's.
"""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from tests.clients.cells import Ground

ROOT = Path(__file__).resolve().parents[2]
_DESCRIBE_S = 120.0
_PATIENCE = 3
"""A cell produces, and reads, and may do so for several codecs: times its timeout."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a client module says of itself."""

    version: str
    unavailable: str
    """Empty, or why it cannot run here."""
    columns: list[str] = field(default_factory=list)
    cannot: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def describe(python: str, module: str) -> Described:
    """Asks the module, in that Python."""
    with TemporaryDirectory() as directory:
        return Described(**json.loads(_told(python, module, "describe", Path(directory) / "described", _DESCRIBE_S)))


def run(python: str, module: str, column: str, ground: Ground) -> list[str]:
    """The faults of one cell; how its process ended, if it did not say."""
    file = ground.directory / "faults"
    file.with_suffix(".ground").write_bytes(pickle.dumps(ground))
    try:
        faults: list[str] = json.loads(_told(python, module, column, file, _PATIENCE * ground.timeout_s))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return [str(error)]
    return faults


def _told(python: str, module: str, what: str, file: Path, timeout_s: float) -> str:
    command = [python, "-W", "ignore", "-m", "tests.clients.one", module, what, str(file)]
    narration = file.with_suffix(".log")
    with narration.open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=log, timeout=timeout_s, cwd=ROOT, check=False)
    if not file.exists():
        said = narration.read_text(errors="replace")[-400:]
        raise RuntimeError(f"{module} {what} ended with {done.returncode} and without a word: {said}")
    return file.read_text()


def in_words(error: BaseException) -> str:
    """An error as a fault."""
    return f"{type(error).__name__}: {error}"


def _describe(module: ModuleType) -> dict[str, object]:
    unavailable = module.available()
    return {
        "version": "" if unavailable else module.version(),
        "unavailable": unavailable,
        "columns": list(module.CELLS),
        "cannot": dict(module.CANNOT),
        "settings": dict(getattr(module, "SETTINGS", {})),
    }


def main() -> None:
    name, what, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    module = importlib.import_module(name)
    said: object
    if what == "describe":
        said = _describe(module)
    else:
        try:
            said = module.CELLS[what](pickle.loads(file.with_suffix(".ground").read_bytes()))
        except Exception as error:
            said = [in_words(error)]
    partly = file.with_suffix(".partly")
    partly.write_text(json.dumps(said))
    partly.rename(file)


if __name__ == "__main__":
    main()
