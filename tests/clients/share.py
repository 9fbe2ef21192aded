"""`make share-groups`: the Java client's KafkaShareConsumer (KIP-932) against three brokers, one of which is killed.

    python -m tests.clients.share [--records 3000] [--acts shared,...] [--postgres]

Each act has a topic of one partition, and two members that read it. A line per act as it ends, a verdict as the last
line; exit 0 only when all that was promised held.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.services import Postgres
from tests.clients import java_program, reference
from tests.clients.cells import Ground
from tests.clients.cluster import Cluster, brokers
from tests.clients.driver import records_of
from tests.clients.one import in_words
from tests.clients.remote import Line, options

ACCEPT, RELEASE, REJECT = "ACCEPT", "RELEASE", "REJECT"
_POLL_MS = 200
_LOCK_MS = 3000
_AT_ONCE = 50
"""Records in a poll, and in a batch: a member is given whole batches."""
Delivery = tuple[int, int]
"""Offset, and the how-manieth time it is."""


class Member:
    """A share consumer in the Java program."""

    def __init__(self, ground: Ground, topic: str, **configs: str) -> None:
        self._line: Line = java_program.DRIVER.line(ground)
        given = {"topic": topic, "group": f"{topic}-group", "records": _AT_ONCE}
        told = {"share.auto.offset.reset": "earliest", **configs}
        self._line.ask("sharer", **options(ground, ""), **given, configs=told)

    def poll(self) -> list[Delivery]:
        return [(offset, count) for offset, _, count in self._line.ask("poll", ms=_POLL_MS)["records"]]

    def say(self, word: str, offsets: list[int], *, commit: bool = True) -> None:
        """Of records of the last poll; `commit` waits until it holds."""
        self._line.ask("say", word=word, offsets=offsets)
        if commit:
            self._line.ask("commit")

    def refused(self) -> list[str]:
        """What came back as not taken, since it was asked last."""
        found: list[str] = self._line.ask("refused")["refused"]
        return found

    def close(self) -> None:
        self._line.close()


@contextmanager
def members(ground: Ground, topic: str, count: int, **configs: str) -> Iterator[list[Member]]:
    """Members on a new topic of one partition that has the ground's records."""
    reference.create(ground, topic, partitions=1)
    records = records_of(java_program.DRIVER, ground.records)
    for start in range(0, len(records), _AT_ONCE):
        reference.write(ground, topic, records[start : start + _AT_ONCE])
    with ExitStack() as stack:
        found = [Member(ground, topic, **configs) for _ in range(count)]
        for member in found:
            stack.callback(member.close)
        yield found


def drain(ground: Ground, some: list[Member], until: int) -> list[dict[int, int]]:
    """Polls members in turn and accepts all they get, until there are so many; each one's offsets, and how often each
    was delivered by then.
    """
    got: list[dict[int, int]] = [{} for _ in some]
    deadline = time.monotonic() + ground.timeout_s
    while time.monotonic() < deadline and len(set().union(*got)) < until:
        for number, member in enumerate(some):
            if found := member.poll():
                got[number].update(found)
                member.say(ACCEPT, [offset for offset, _ in found])
    return got


def first(ground: Ground, member: Member) -> list[Delivery]:
    """The first records that a member is given."""
    deadline = time.monotonic() + ground.timeout_s
    while time.monotonic() < deadline:
        if found := member.poll():
            return found
    return []


def _missing(ground: Ground, *got: Iterable[int]) -> list[str]:
    found = set[int]().union(*got)
    return [] if len(found) == ground.records else [f"{len(found)} of {ground.records} records were delivered"]


def shared(cluster: Cluster, ground: Ground) -> list[str]:
    """Two members on one partition: every record once, and both get some."""
    with members(ground, ground.name, 2) as some:
        one, other = drain(ground, some, ground.records)
        faults = _missing(ground, one, other)
        faults += [f"delivered to both: {sorted(one.keys() & other)[:5]}"] if one.keys() & other else []
        again = [offset for each in (one, other) for offset, count in each.items() if count != 1]
        faults += [f"delivered again: {again[:5]}"] if again else []
        faults += [f"one of them got nothing: {len(one)} and {len(other)}"] if not one or not other else []
        late = [delivery for member in some for delivery in member.poll()]
        faults += [f"delivered when all was accepted: {late[:5]}"] if late else []
        return faults + [each for member in some for each in member.refused()]


def released(cluster: Cluster, ground: Ground) -> list[str]:
    """What is released comes again, counted; what is rejected does not."""
    with members(ground, ground.name, 1) as (one,):
        given = first(ground, one)
        offsets = [offset for offset, _ in given]
        half = len(offsets) // 2
        faults = [f"first deliveries were counted {given[:5]}"] if {count for _, count in given} != {1} else []
        one.say(RELEASE, offsets[:half], commit=False)
        one.say(REJECT, offsets[half:])
        (got,) = drain(ground, [one], ground.records - len(offsets[half:]))
        wrong = [offset for offset in offsets[:half] if got.get(offset) != 2]
        faults += [f"released, and not delivered a second time: {wrong[:5]}"] if wrong else []
        back = [offset for offset in offsets[half:] if offset in got]
        faults += [f"rejected, and delivered again: {back[:5]}"] if back else []
        return faults + _missing(ground, got, offsets[half:])


def lapsed(cluster: Cluster, ground: Ground) -> list[str]:
    """What a member says nothing about is given to the other one when its time is up."""
    lock = {"share.record.lock.duration.ms": str(_LOCK_MS)}
    with members(ground, ground.name, 2, **lock) as (silent, other):
        held = [offset for offset, _ in first(ground, silent)]
        faults = [] if held else ["the first member was given nothing"]
        (got,) = drain(ground, [other], ground.records)
        wrong = [offset for offset in held if got.get(offset) != 2]
        faults += [f"not given to the other one for a second time: {wrong[:5]}"] if wrong else []
        return faults + _missing(ground, got)


def killed(cluster: Cluster, ground: Ground) -> list[str]:
    """kill -9 of the broker that leads, half way: nothing is lost, and nothing that was accepted comes again."""
    with members(ground, ground.name, 2) as some:
        accepted = set[int]().union(*drain(ground, some, ground.records // 2))
        before = frozenset() if [each for member in some for each in member.refused()] else frozenset(accepted)
        os.kill(cluster.pids[reference.leaders(ground, ground.name)[0]], signal.SIGKILL)
        again: set[int] = set()
        deadline = time.monotonic() + ground.timeout_s
        while time.monotonic() < deadline and len(accepted) < ground.records:
            for member in some:
                if offsets := [offset for offset, _ in member.poll()]:
                    member.say(ACCEPT, offsets)
                    again |= before.intersection(offsets)
                    accepted.update(() if member.refused() else offsets)
        return _missing(ground, accepted) + (
            [f"accepted before the kill, and given again: {sorted(again)[:5]}"] if again else []
        )


ACTS: dict[str, Callable[[Cluster, Ground], list[str]]] = {
    "shared": shared,
    "released": released,
    "lapsed": lapsed,
    "killed": killed,
}


def run(cluster: Cluster, act: str, records: int, timeout_s: float) -> list[str]:
    """What was wrong with one act."""
    try:
        return ACTS[act](cluster, cluster.ground(f"share-{act}", records, timeout_s))
    except (RuntimeError, OSError) as error:
        return [in_words(error)]


def _store(stack: ExitStack, directory: Path) -> str:
    """The address of a PostgreSQL that ends with the stack."""
    postgres = Postgres(directory / "postgres")
    stack.callback(postgres.stop)
    return postgres.url


def main() -> int:
    parser = argparse.ArgumentParser(description="Kafka's share consumer against three brokers")
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--acts", default=",".join(ACTS), help="some of them, comma-separated; killed comes last")
    parser.add_argument("--postgres", action="store_true", help="metadata in a PostgreSQL instead of a SQLite file")
    asked = parser.parse_args()
    if missing := java_program.missing():
        parser.error(missing)
    failed = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(brokers(directory, metadata=_store(stack, directory) if asked.postgres else None))
        for act in asked.acts.split(","):
            faults = run(cluster, act, asked.records, timeout_s=60)
            failed += [act] if faults else []
            said = "FAULT: " + "; ".join(faults) if faults else "holds: " + (ACTS[act].__doc__ or "")
            print(f"{act}: {said}", flush=True)
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all hold"
    print(f"share groups of the Java client {java_program.kafka_version()}: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
