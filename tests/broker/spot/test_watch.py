"""What a notice does to a broker: it empties itself, takes nothing back, says so, and shows it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from broker.clock import SystemClock
from broker.metadata import Metadata, doomed
from broker.spot.leaving import Leaving
from broker.spot.notice import INTERRUPTION, REBALANCE, NoAnswer, Notice
from broker.spot.watch import SURE, SpotWatch
from tests.bars.cluster import Cluster
from tests.bars.drain import owned
from tests.broker.log.conftest import Cluster as OneProcess
from tests.broker.spot.clouds import Clouds, wait_until

GOES = Notice(kind=INTERRUPTION, source="aws", deadline_ms=None, detail="stop")
LIKELY = Notice(kind=REBALANCE, source="aws", deadline_ms=None, detail="rebalance recommendation")


class Voice:
    """A metadata service by hand: each look takes the next of what it is to say, and says the last one for ever."""

    source, address, every_s = "aws", "http://a-cloud", 0.002

    def __init__(self) -> None:
        self.says: list[Sequence[Notice] | NoAnswer] = [()]
        self.looks = 0

    async def look(self) -> Sequence[Notice]:
        self.looks += 1
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, NoAnswer):
            raise said
        return said


class Bench:
    """Two brokers in this process, of which broker 1 listens to the voice."""

    def __init__(self, cluster: OneProcess) -> None:
        self.voice, self.said, self._cluster = Voice(), cluster.said, cluster
        logs = cluster.brokers[1][1]
        leaving = Leaving(
            self.metadata, SystemClock(), 1, announce=logs.announce, figures=logs.stats, say=self.said.append
        )
        self.watch = SpotWatch(lambda: self.voice, leaving, SystemClock(), self.said.append)
        self.watch.start()

    @property
    def metadata(self) -> Metadata:
        return self._cluster.metadata(1)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while True:
                if holds():
                    return
                await asyncio.sleep(0.005)

    async def say(self, *says: Sequence[Notice] | NoAnswer) -> None:
        """Lets the voice say it all, and the last of it a few times."""
        self.voice.says = list(says)
        await self.until(lambda: len(self.voice.says) == 1)
        now = self.voice.looks
        await self.until(lambda: self.voice.looks > now + SURE + 1)

    def heard(self, text: str) -> bool:
        return any(text in line for line in self.said)

    @property
    def cordoned(self) -> bool:
        return self.metadata.image.brokers[1].cordoned


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    cluster = OneProcess(tmp_path)
    for broker in range(2):
        await cluster.start(broker)
    await cluster.metadata(1).create_topic("t", partitions=3, assignments={0: [0], 1: [1], 2: [1]})
    bench = Bench(cluster)
    yield bench
    await bench.watch.stop()
    for broker in (0, 1):
        await cluster.stop(broker)


async def test_a_rebalance_recommendation_is_told_and_moves_nothing(bench: Bench) -> None:
    await bench.say((LIKELY,))
    assert bench.heard("spot warning of aws (rebalance recommendation)")
    assert (bench.metadata.image.owned_by(1), bench.cordoned) == (2, False)
    assert list(bench.watch.standing) == [REBALANCE]
    await bench.say(())
    assert bench.heard("the spot warning was withdrawn") and not bench.watch.standing


async def test_a_notice_that_flickers_stands_and_silence_takes_nothing_back(bench: Bench) -> None:
    await bench.say((GOES,))
    await bench.until(lambda: bench.cordoned and bench.metadata.image.owned_by(1) == 0)
    await bench.say(*([()] * (SURE - 1)), (GOES,), NoAnswer("no answer within 2 s"))
    assert bench.cordoned and list(bench.watch.standing) == [INTERRUPTION]
    assert sum("spot notice of aws (stop)" in line for line in bench.said) == 1
    await bench.say(())
    await bench.until(lambda: not bench.cordoned)
    assert bench.heard("withdrawn: partitions may come again") and not bench.watch.standing


async def test_a_service_that_does_not_answer_costs_a_line_and_its_return_another(bench: Bench) -> None:
    await bench.say(NoAnswer("no answer within 2 s"), NoAnswer("status 500"))
    assert sum("cannot be had from aws at http://a-cloud: no answer within 2 s" in line for line in bench.said) == 1
    assert not bench.heard("status 500")
    await bench.say(())
    assert bench.heard("aws at http://a-cloud answers again")
    assert set(bench.watch.looks) == {("ok",), ("error",)}


async def test_a_broker_that_must_go_is_cordoned_again_when_somebody_lifts_it(bench: Bench) -> None:
    await bench.say((GOES,))
    await bench.until(lambda: bench.cordoned)
    await bench.metadata.change(lambda tx: doomed.stay(tx, 1))
    await bench.until(lambda: bench.cordoned)


def test_a_notice_empties_a_real_broker_and_the_last_one_goes_on_serving(tmp_path: Path, clouds: Clouds) -> None:
    clouds.cloud = "azure"
    flags = ("--no-bill", "--wal-size", "16MiB", "--spot-notices", f"azure={clouds.address}/{{id}}")
    cluster = Cluster(tmp_path, 2, flags=flags)

    def said(broker: int, text: str) -> bool:
        return text in cluster.narration(broker, 100)

    try:
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        topic = NewTopic("t", 4, replica_assignment=[[0], [1], [1], [1]])
        admin.create_topics([topic])["t"].result(60)
        clouds.take(1)
        wait_until(lambda: owned(cluster, 0, 1) == 0, "broker 1 leads nothing")
        wait_until(lambda: said(1, "all partitions are with other brokers"), "that is said")
        line = r"spot notice of azure \(Preempt\): this machine is taken away at 20\S+Z, in \d+ s"
        assert re.search(line, cluster.narration(1))
        page, labels = cluster.page(1), 'kind="interruption",source="azure",detail="Preempt"'
        at = clouds.taken["1"].timestamp()
        assert f"kafka_stream_spot_notice_deadline_timestamp_seconds{{{labels}}} {at:.15g}" in page
        assert f"kafka_stream_spot_notice_timestamp_seconds{{{labels}}} " in page
        assert 'kafka_stream_spot_look_count_total{outcome="ok"}' in page
        assert "streampilot_broker_cordoned 1" in page and "kafka_stream_drain_count_total 1" in page
        clouds.take(0)
        wait_until(lambda: said(0, "nothing is drained: no other broker"), "the last broker says that it stays")
        assert (owned(cluster, 0, 0), owned(cluster, 0, 1)) == (4, 0)
    finally:
        cluster.stop()
