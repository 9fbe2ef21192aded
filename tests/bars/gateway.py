"""An S3 API that is not the bottleneck of what is measured: the Versity gateway on a directory, where it is installed.

moto answers some 40 MB/s in all, since it is one Python process; three brokers with an object WAL at 20 MB/s of writes
want just that. `make s3-gateway` builds this one from the Go module proxy into `.work/bin`; nothing else needs it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.chaos.services import BUCKET, CREDENTIALS, S3
from tests.ports import free_ports

BUILT = Path(__file__).parents[2] / ".work" / "bin" / "versitygw"
START_S = 30.0


class Gateway:
    """On a directory of its own, with one bucket; the directory goes when it stops."""

    def __init__(self, program: Path) -> None:
        (self.port,) = free_ports(1)
        self._root = Path(tempfile.mkdtemp(prefix="streampilot-s3-"))
        (self._root / BUCKET).mkdir()
        self._process = subprocess.Popen(
            [
                *(str(program), "--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive"),
                *("--access", CREDENTIALS["AWS_ACCESS_KEY_ID"], "--secret", CREDENTIALS["AWS_SECRET_ACCESS_KEY"]),
                *("posix", str(self._root)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urlopen(f"http://127.0.0.1:{self.port}/", timeout=1).close()
                return
            except HTTPError:
                return  # it speaks, and refuses whoever does not sign
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"versitygw did not answer on port {self.port} within {START_S:g} s")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._root, ignore_errors=True)


def s3() -> S3 | Gateway:
    """The gateway where it was built, else moto, which is said."""
    if BUILT.exists():
        return Gateway(BUILT)
    print("S3 is moto, which takes some 40 MB/s in all: `make s3-gateway` builds a faster one", flush=True)
    return S3()
