"""A client of another version, in an environment of its own under .work, made here from the package registry.

Run by that environment's Python as `python -m tests.clients.elsewhere MODULE BOOTSTRAP TOPIC COUNT TIMEOUT`: it drives
the same module as the newest version and writes what was read to stdout, pickled.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.clients.records import Got, Record, record

ROOT = Path(__file__).resolve().parents[2]
_INSTALL_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """One package at one version; `module` is the one of ours that drives it."""

    NAME: str
    package: str
    version: str
    module: str

    @property
    def _python(self) -> Path:
        return ROOT / ".work/clients" / f"{self.package}-{self.version}" / "bin/python"

    @property
    def installed(self) -> bool:
        return self._python.exists()

    def install(self) -> None:
        """Makes the environment, once."""
        if self.installed:
            return
        home = self._python.parents[1]
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=_INSTALL_S)
        wanted = f"{self.package}=={self.version}"
        command = [str(self._python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]
        subprocess.run(command, check=True, timeout=_INSTALL_S)

    def run(self, bootstrap: str, topic: str, sent: list[Record], timeout: float) -> list[Got]:
        """What the client read back of `sent`, which must be the first records there are."""
        self.install()
        command = [str(self._python), "-m", "tests.clients.elsewhere", self.module, bootstrap, topic]
        command += [str(len(sent)), str(timeout)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, timeout=3 * timeout, env=environment, cwd=ROOT)
        if done.returncode:
            raise RuntimeError(
                f"{self.NAME} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}"
            )
        got: list[Got] = pickle.loads(done.stdout)
        return got


def main() -> None:
    module, bootstrap, topic, count, timeout = sys.argv[1:]
    sent = [record(number) for number in range(int(count))]
    got = importlib.import_module(module).run(bootstrap, topic, sent, float(timeout))
    sys.stdout.buffer.write(pickle.dumps(got))


if __name__ == "__main__":
    main()
