"""The Java client's program: java/, compiled against Apache Kafka's jars into .work, once per content."""

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
    """The directory of the classes."""
    sources = sorted(SOURCES.glob("*.java"))
    content = hashlib.sha256(b"".join(each.read_bytes() for each in sources) + kafka_version().encode())
    classes = ROOT / ".work/clients" / f"java-{content.hexdigest()[:16]}"
    if not classes.exists():
        classes.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=classes.parent) as directory:
            made = Path(directory) / "classes"
            command = ["javac", "-proc:none", "-cp", f"{LIBS}/*", "-d", str(made), *map(str, sources)]
            subprocess.run(command, check=True, timeout=_COMPILE_S)
            if not classes.exists():
                os.rename(made, classes)
    return classes


def command(main_class: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
    """Runs a class of ours or of Apache Kafka. Short-lived: the simplest collector and compiler cost the least."""
    return [
        "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *flags,
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{LIBS}/*:{compiled()}", main_class, *arguments,
    ]  # fmt: skip


def _serving(ground: Ground) -> list[str]:
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={ground.token_url}"
    return command("Serving", flags=(allowed,))


DRIVER = Remote(command=_serving)
