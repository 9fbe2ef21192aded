"""Plays a schedule on a cluster, and counts only what was seen to have an effect.

Each fault runs in a thread of its own; a broker has one fault at a time, and one broker is always left alone. Whoever
ends by itself is noted and started again, as a supervisor would.
"""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError

from tests.chaos.cells import Cluster
from tests.chaos.faults import Fault
from tests.chaos.history import Anomalies, Place
from tests.chaos.places import PLACES, TOPICS
from tests.chaos.proxy import Weather
from tests.chaos.workload import Workload, wait_until
from tests.faults.brokers import DidNotStart

IN_FLIGHT_S = 1.0
"""How long a kill waits for a moment with requests in flight."""
ZOMBIE_ENDS_S = 12.0
DRAIN_S = 25.0
START_TRIES_S = 60.0
TOUCHED_S = 6.0
"""A broker that ends this soon after a fault of its own ended because of it."""
FREE_WAIT_S = 15.0
DECLARED = re.compile(r"broker (\d+) is dead")
STALE = ("declared dead", "runs elsewhere", "fenced", "is over")


class Injector:
    """`tally` counts what happened; `anomalies` gets what must not."""

    def __init__(
        self,
        cluster: Cluster,
        workload: Workload,
        anomalies: Anomalies,
        *,
        strict: bool = False,
        calm: Weather | None = None,
    ) -> None:
        self.tally: Counter[str] = Counter()
        self._cluster, self._workload, self._anomalies, self._strict = cluster, workload, anomalies, strict
        self._calm = calm or Weather()
        """Of a round, between its storms."""
        self._admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        self._mover: KafkaAdminClient | None = None
        self._busy: set[int] = set()
        self._touched: dict[int, float] = {}
        self._guard = threading.Lock()
        self._over = False
        self._leaders: dict[Place, int] = {}

    # -- a round -----------------------------------------------------------------------------------------------------

    def play(self, faults: Sequence[Fault], seconds: float) -> None:
        """All of them, and then nothing is wrong any more: every broker is up and the weather is calm."""
        begun, running, waiting = time.monotonic(), [], list(faults)
        self._over = False
        self._cluster.weather(self._calm)
        while (elapsed := time.monotonic() - begun) < seconds:
            while waiting and waiting[0].at_s <= elapsed:
                running.append(threading.Thread(target=self._guarded, args=(waiting.pop(0),), daemon=True))
                running[-1].start()
            self._supervise()
            time.sleep(0.05)
        self._over = True
        for thread in running:
            thread.join()
        self._heal()

    def _guarded(self, fault: Fault) -> None:
        try:
            self._inject(fault)
        except Exception as error:
            self._anomalies.add("harness", f"{fault}: {error!r}")

    def _inject(self, fault: Fault) -> None:
        if fault.kind == "weather":
            self._storm(fault)
        elif fault.kind == "full disk":
            self._full_disk(fault)
        elif fault.kind == "move":
            self._move(fault)
        elif (broker := self._claim(fault.broker)) is not None:
            try:
                {"kill": self._kill, "zombie": self._zombie, "quick zombie": self._zombie, "drain": self._drain}[
                    fault.kind
                ](fault, broker)
            finally:
                self._touched[broker] = time.monotonic()
                self._busy.discard(broker)
        else:
            self.tally["skipped"] += 1

    def _claim(self, wanted: int) -> int | None:
        """A broker that nothing is wrong with, while another such remains; one that leads something, if any does."""
        self._leaders_now()
        deadline = time.monotonic() + FREE_WAIT_S
        while time.monotonic() < deadline and not self._over:
            with self._guard:
                free = [broker for broker in self._cluster.running if broker not in self._busy]
                if len(free) > 1:
                    leading = [broker for broker in free if broker in self._leaders.values()] or free
                    broker = leading[wanted % len(leading)]
                    self._busy.add(broker)
                    return broker
            time.sleep(0.1)
        return None

    # -- one broker --------------------------------------------------------------------------------------------------

    def _kill(self, fault: Fault, broker: int) -> None:
        led = self._led_by(broker)
        wait_until(lambda: self._workload.open(led) > 0, IN_FLIGHT_S, 0.002)
        self._cluster.kill(broker)
        self.tally["kills"] += 1
        self.tally["kills in flight"] += self._workload.open(led) > 0
        self._rest(fault.lasts_s)
        self._start(broker)

    def _zombie(self, fault: Fault, broker: int) -> None:
        """Stopped beyond its session. It counts when it was declared dead, came back, and ended or was refused."""
        marks = self._marks(broker)
        self._cluster.signal(broker, signal.SIGSTOP)
        deadline = time.monotonic() + fault.lasts_s
        quick = fault.kind == "quick zombie"
        while time.monotonic() < deadline and not (quick and self._declared(broker, marks)):
            if self._cluster.await_end(broker, 0.001) is not None:
                break
        self._resume(broker, marks)

    def _resume(self, broker: int, marks: dict[int, int]) -> None:
        ended_stopped = self._cluster.await_end(broker, 0) is not None
        with suppress(ProcessLookupError):
            self._cluster.signal(broker, signal.SIGCONT)
        declared = self._declared(broker, marks)
        if ended_stopped:
            self.tally["zombies killed while stopped"] += 1
        elif not declared:
            self.tally["stopped, not declared dead"] += 1
            return
        elif self._cluster.await_end(broker, ZOMBIE_ENDS_S) is None:
            self._anomalies.add("zombie lives", f"broker {broker} was declared dead and runs {ZOMBIE_ENDS_S:g} s later")
            return
        elif any(word in self._cluster.narration(broker, 3) for word in STALE):
            self.tally["zombies resumed"] += 1
        else:
            self.tally["zombies killed while stopped"] += 1
        self._cluster.reap()
        self._start(broker)

    def _drain(self, fault: Fault, broker: int) -> None:
        self._cluster.signal(broker, signal.SIGTERM)
        code = self._cluster.await_end(broker, DRAIN_S)
        if code is None:
            self._anomalies.add("drain hangs", f"broker {broker} runs {DRAIN_S:g} s after SIGTERM")
            self._cluster.kill(broker)
        else:
            self.tally["drains" if code == 0 else "drains left unfinished"] += 1
            self._cluster.reap()
        self._rest(fault.lasts_s)
        self._start(broker)

    def _start(self, broker: int) -> None:
        """A store that is away may keep a broker from starting; in calm weather it must start."""
        deadline = time.monotonic() + START_TRIES_S
        while True:
            try:
                self._cluster.start(broker)
                return
            except DidNotStart as error:
                self._cluster.reap()
                self.tally["starts refused"] += 1
                if time.monotonic() > deadline:
                    self._anomalies.add("does not start", str(error))
                    return
                time.sleep(0.5)

    # -- the rest of the world ---------------------------------------------------------------------------------------

    def _storm(self, fault: Fault) -> None:
        self._cluster.weather(fault.weather)
        if self._cluster.ground.proxy is None:
            self._cluster.ask("ambiguous", fault.count + 2)
            self._cluster.ask("refused", fault.count)
        self._rest(fault.lasts_s)
        self._cluster.weather(self._calm)

    def _full_disk(self, fault: Fault) -> None:
        disk = self._cluster.ground.disk
        marks = self._marks(-1)
        if disk is None or not disk.fill():
            self.tally["full disks not possible"] += 1
            return
        try:
            self._rest(fault.lasts_s)
            self.tally["full disks"] += any("space left" in text.lower() for text in self._since(marks))
        finally:
            disk.empty()

    def _move(self, fault: Fault) -> None:
        rng = random.Random(f"{fault.at_s}")
        wanted = {TopicPartition(*place): [rng.randrange(3)] for place in rng.sample(PLACES, fault.count)}
        before = dict(self._leaders_now())
        try:
            if self._mover is None:
                self._mover = KafkaAdminClient(bootstrap_servers=self._cluster.bootstrap.split(","))
            self._mover.alter_partition_reassignments(wanted)
        except (KafkaError, OSError, AssertionError):
            self._mover = None
            self.tally["moves refused"] += 1
            return
        due = {
            (at.topic, at.partition): to[0]
            for at, to in wanted.items()
            if before.get((at.topic, at.partition)) != to[0]
        }
        wait_until(lambda: all(self._leaders_now().get(place) == to for place, to in due.items()), 4.0, 0.3)
        self.tally["moves"] += sum(self._leaders.get(place) == to for place, to in due.items())

    # -- supervision -------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        for broker in self._cluster.running:
            if broker in self._busy or self._cluster.await_end(broker, 0) is None:
                continue
            with self._guard:
                self._busy.add(broker)
            self._note_end(broker)
            threading.Thread(target=self._again, args=(broker,), daemon=True).start()

    def _again(self, broker: int) -> None:
        try:
            self._start(broker)
        finally:
            self._busy.discard(broker)

    def _note_end(self, broker: int) -> None:
        code = self._cluster.reap().get(broker, 0)
        words = self._cluster.narration(broker, 2)
        touched = time.monotonic() - self._touched.get(broker, -TOUCHED_S) < TOUCHED_S
        if not any(word in words for word in STALE):
            self._anomalies.add("broker ended", f"broker {broker} with {code}: {words}")
        elif self._strict and not touched:
            self._anomalies.add("ended for nothing", f"nothing was wrong with broker {broker}: {words}")
        self.tally["declared dead"] += 1

    def _heal(self) -> None:
        self._cluster.weather(Weather())
        if self._cluster.ground.disk is not None:
            self._cluster.ground.disk.empty()
        for broker in list(self._cluster.stopped):
            self._cluster.signal(broker, signal.SIGCONT)
        for broker in self._cluster.ports:
            wait_until(lambda one=broker: one not in self._busy, START_TRIES_S)  # type: ignore[misc]
            if broker not in self._cluster.running:
                self._start(broker)
        self._supervise()
        wait_until(lambda: not self._busy, START_TRIES_S)

    def _rest(self, seconds: float) -> None:
        """Some of a fault's life; the end of a round ends it."""
        wait_until(lambda: self._over, seconds)

    # -- looking -----------------------------------------------------------------------------------------------------

    def _leaders_now(self) -> dict[Place, int]:
        with suppress(KafkaException):
            found = self._admin.list_topics(timeout=2)
            self._leaders = {
                (topic, index): partition.leader
                for topic in TOPICS
                if topic in found.topics
                for index, partition in found.topics[topic].partitions.items()
            }
        return self._leaders

    def _led_by(self, broker: int) -> list[Place]:
        return [place for place, leader in self._leaders_now().items() if leader == broker]

    def _marks(self, broker: int) -> dict[int, int]:
        """How long the narrations of all others are now."""
        return {other: self._cluster.size(other) for other in self._cluster.ports if other != broker}

    def _since(self, marks: dict[int, int]) -> list[str]:
        return [self._cluster.said(other, mark) for other, mark in marks.items()]

    def _declared(self, broker: int, marks: dict[int, int]) -> bool:
        return any(str(broker) in DECLARED.findall(text) for text in self._since(marks))
