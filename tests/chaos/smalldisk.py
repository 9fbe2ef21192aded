"""A file system that can be full: a tmpfs whose size is cut down to what it holds, and given back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOMY_BYTES = 8 << 30


class SmallDisk:
    """Mounted on `path` where mounting is permitted; elsewhere a plain directory that is never full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        self.mounted = os.geteuid() == 0 and self._mount(f"size={ROOMY_BYTES}")

    def _mount(self, options: str, *more: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, *more, "chaos", str(self._path)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self) -> bool:
        """No byte more fits; whether that could be done."""
        if not self.mounted:
            return False
        for _ in range(10):
            # What is used grows meanwhile, and a size below it is refused.
            now = os.statvfs(self._path)
            used = (now.f_blocks - now.f_bfree) * now.f_frsize
            if self._mount(f"remount,size={max(used, now.f_frsize)}"):
                return True
        return False

    def empty(self) -> None:
        if self.mounted:
            self._mount(f"remount,size={ROOMY_BYTES}")

    def stop(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self._path)], capture_output=True, check=False)
            self.mounted = False
