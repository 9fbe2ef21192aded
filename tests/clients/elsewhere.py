"""A client of another version, in an environment of its own under .work, made here from the package registry.

The same module as the newest version's drives it, run by that environment's Python: see `one.py`.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_INSTALL_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """One package at one version, and what it needs beside it; `module` is the one of ours that drives it."""

    package: str
    version: str
    module: str
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.package}-{self.version}"

    @property
    def python(self) -> Path:
        return ROOT / ".work/clients" / self.name / "bin/python"

    @property
    def installed(self) -> bool:
        return (self.python.parents[1] / "installed").exists()

    def install(self) -> None:
        """Makes the environment, once."""
        if self.installed:
            return
        home = self.python.parents[1]
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=_INSTALL_S)
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = [f"{self.package}=={self.version}", *self.beside]
        subprocess.run([*command, *wanted], check=True, timeout=_INSTALL_S)
        (home / "installed").touch()
