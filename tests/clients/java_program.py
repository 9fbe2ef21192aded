"""The Java clients' programs: java/, compiled against Apache Kafka's jars into .work, once per content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.clients.cells import Ground
from tests.clients.remote import Remote
from tests.interop.kafka import LIBS, ROOT

SOURCES = Path(__file__).with_name("java")
_COMPILE_S = 120.0


def missing() -> str:
    """Empty, or what is not there and how to get it."""
    if not shutil.which("java") or not shutil.which("javac"):
        return "no JDK: apt-get install default-jdk-headless"
    if not any(LIBS.glob("kafka-clients-*.jar")):
        return "no jars of Apache Kafka: `python -m tests.clients.prepare` gets them (needs Maven)"
    return ""


def kafka_version() -> str:
    """That of the client's jar."""
    return next(LIBS.glob("kafka-clients-*.jar")).stem.removeprefix("kafka-clients-")


@cache
def compiled() -> Path:
    """The directory of classes.jar and, once prepared, of an archive that a JVM maps instead of loading classes."""
    sources = sorted(SOURCES.glob("*.java"))
    content = hashlib.sha256(b"".join(each.read_bytes() for each in sources) + kafka_version().encode())
    program = ROOT / ".work/clients" / f"java-{content.hexdigest()[:16]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as directory:
            classes, made = Path(directory) / "classes", Path(directory) / "made"
            made.mkdir()
            for command in (
                ["javac", "-proc:none", "-cp", f"{LIBS}/*", "-d", str(classes), *map(str, sources)],
                ["jar", "--create", "--file", str(made / _JAR), "-C", str(classes), "."],
            ):
                subprocess.run(command, check=True, timeout=_COMPILE_S)
            if not program.exists():
                os.rename(made, program)
    return program


def prepare() -> None:
    """Compiles, and makes the archive. Without one, or with one that does not fit, a JVM starts as well, but later."""
    program = compiled()
    if (program / _ARCHIVE).exists():
        return
    made = program / f"{_ARCHIVE}.{os.getpid()}"
    command = [*_JVM, f"-XX:ArchiveClassesAtExit={made}", *_path(program), "Warming"]
    subprocess.run(command, timeout=_COMPILE_S, check=True, capture_output=True)
    made.rename(program / _ARCHIVE)


_JAR, _ARCHIVE = "classes.jar", "classes.jsa"
_JVM = (
    *("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    *("-Xlog:disable", "-Xlog:all=error:stderr", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
)
"""Short-lived: the simplest collector and compiler cost the least. What a JVM thinks of archives is not for stdout."""


def _path(program: Path) -> tuple[str, str]:
    """The same in each command, else the archive does not fit."""
    return "-cp", f"{LIBS}/*:{program / _JAR}"


def command(main_class: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
    """Runs a class of ours or of Apache Kafka."""
    program = compiled()
    archive = f"-XX:SharedArchiveFile={program / _ARCHIVE}"
    return [*_JVM, archive, *flags, *_path(program), main_class, *arguments]


def _serving(ground: Ground) -> list[str]:
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={ground.token_url}"
    return command("Serving", flags=(allowed,))


DRIVER = Remote(command=_serving)
