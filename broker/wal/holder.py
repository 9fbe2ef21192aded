"""A file that one process holds for life: `flock`, and who the holder is.

The kernel frees the lock when the holder is dead and not before, so holding it is a fence: what the holder could have
written, it has written. The file names pid, start time and boot id, because a pid alone may since belong to somebody
else. A holder that is stopped (SIGSTOP, a debugger) keeps the lock for ever; whoever may prove it dead kills it,
through a pidfd, after all three match.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from broker.wal.directories import make_directory


class HeldByAnother(Exception):
    """The lock is taken; the message says by whom."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    pid: int
    started: int
    """Clock ticks after boot, as /proc says."""
    boot_id: str


def boot_id() -> str:
    """Differs between machines and between boots of one machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command, state first; the command itself may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def this_process() -> Holder:
    return Holder(pid=os.getpid(), started=int(_stat_fields(os.getpid())[19]), boot_id=boot_id())


class LifetimeLock:
    """Holds `path` until `release` or the end of the process."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def take(cls, path: Path) -> LifetimeLock:
        """The lock, at once, or HeldByAnother; OSError where the file system knows no locks."""
        make_directory(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            who = holder_of(path)
            raise HeldByAnother(f"{path} is held by {f'pid {who.pid}' if who else 'another process'}") from error
        write_holder(fd)
        return cls(path, fd)

    def release(self) -> None:
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def write_holder(fd: int) -> None:
    """Names this process in the lock file it holds."""
    text = json.dumps(asdict(this_process())).encode()
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))


def holder_of(path: Path) -> Holder | None:
    """Who the file names; None when it names nobody that can be read."""
    with suppress(OSError, ValueError, TypeError):
        return Holder(**json.loads(path.read_text()))
    return None


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock now. A missing file says nothing, so it counts as held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def is_running(path: Path) -> bool:
    """Whether the holder of `path` is a process of this boot that is neither gone nor stopped."""
    who = holder_of(path)
    if who is None or who.boot_id != boot_id():
        return False
    try:
        fields = _stat_fields(who.pid)
    except OSError:
        return False
    return int(fields[19]) == who.started and fields[0] not in "TtZX"


def kill_if_stopped(path: Path) -> int | None:
    """SIGKILLs the holder of `path` when it is stopped and provably the process the file names; its pid when it did."""
    who = holder_of(path)
    if who is None or who.pid == os.getpid() or who.boot_id != boot_id():
        return None
    try:
        pidfd = os.pidfd_open(who.pid)
    except OSError:
        return None
    try:
        fields = _stat_fields(who.pid)
        if int(fields[19]) != who.started or fields[0] not in "Tt":
            return None
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return None
    finally:
        os.close(pidfd)
    return who.pid
