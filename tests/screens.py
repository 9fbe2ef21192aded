"""`make screens`: the pictures of the README, taken from the real thing.

A cluster and its agent are started with the public command, real producers make one broker too busy, and Textual's own
pilot walks through the screens of the TUI and saves each as SVG in docs/screens/.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from textual.widgets import DataTable

from tui.app import StreampilotApp

OUT = Path(__file__).parents[1] / "docs" / "screens"
SIZE = (140, 42)
TOPICS = {"orders": 9, "payments": 6, "clicks": 6}
BUSY_SHARE = 0.7
"""Of the writes that go to partitions of one broker."""
PATIENCE_S = 120


def main() -> int:
    """Writes overview, findings, plan, chat and cost; exits non-zero when the plan did not come."""
    with tempfile.TemporaryDirectory(prefix="streampilot-screens-") as directory:
        command = [sys.executable, "-m", "agent.cli", "up", "--brokers", "3", "--dir", directory, "--port", "0"]
        command += ["--agent-port", "0", "--time-scale", "2", "--scrape-interval", "5s"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cluster:
            try:
                assert cluster.stdout is not None
                ready = json.loads(cluster.stdout.readline())
                token = (Path(directory) / "token").read_text("utf-8").strip()
                return _with_load(ready["bootstrap"], lambda: asyncio.run(_walk(ready["agent"], token)))
            finally:
                cluster.send_signal(signal.SIGTERM)
                cluster.wait(60)


def _with_load(bootstrap: str, work) -> int:
    stop = threading.Event()
    _create(bootstrap)
    workers = [
        threading.Thread(target=_produce, args=(bootstrap, stop)),
        threading.Thread(target=_consume, args=(bootstrap, stop)),
    ]
    for worker in workers:
        worker.start()
    try:
        return work()
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)


def _create(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(name, num_partitions=count, replication_factor=3) for name, count in TOPICS.items()]
    for future in admin.create_topics(topics).values():
        future.result(30)


def _produce(bootstrap: str, stop: threading.Event) -> None:
    """Two thirds of the bytes go to the partitions that broker 0 leads."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    known = admin.list_topics(timeout=30).topics
    while not all(topic in known and len(known[topic].partitions) == count for topic, count in TOPICS.items()):
        stop.wait(0.2)
        known = admin.list_topics(timeout=30).topics
    places = [(topic, number) for topic in TOPICS for number in known[topic].partitions]
    busy = [place for place in places if known[place[0]].partitions[place[1]].leader == 0]
    calm = [place for place in places if place not in busy]
    producer = Producer(
        {"bootstrap.servers": bootstrap, "client.id": "shop;zone=zone-a", "linger.ms": 100, "compression.type": "lz4"}
    )
    value = os.urandom(1 << 16)
    n = 0
    while not stop.wait(0.05):
        for turn in range(10):
            chosen = busy if turn < 10 * BUSY_SHARE else calm
            topic, partition = chosen[n % len(chosen)]
            n += 1
            producer.produce(topic, value[n % 30_000 :][:32_768], partition=partition)
        producer.poll(0.0)
    producer.flush(10)


def _consume(bootstrap: str, stop: threading.Event) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "fulfilment",
            "client.id": "fulfilment;zone=zone-b",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(list(TOPICS))
    while not stop.is_set():
        consumer.consume(500, 0.2)
    consumer.close()


async def _walk(address: str, token: str) -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    app = StreampilotApp(address, token)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(PATIENCE_S):
            await pilot.pause(1.0)
            if (
                app.picture
                and app.picture.plans
                and len(app.picture.overview["brokers"][0]["series"]["bytes_in_per_s"]) > 12
            ):
                break
        else:
            sys.stderr.write("no plan came: the overview is saved as it is\n")
        for key, name in (("1", "overview"), ("2", "findings"), ("3", "plan")):
            await pilot.press(key)
            await pilot.pause(1.0)
            app.save_screenshot(str(OUT / f"{name}.svg"))
        await pilot.press("4", *"what is wrong?", "enter")
        for _ in range(PATIENCE_S):
            await pilot.pause(1.0)
            if not app.query_one("#question").disabled:
                break
        app.save_screenshot(str(OUT / "chat.svg"))
        await pilot.press("escape", "5", "b")
        for _ in range(PATIENCE_S):
            await pilot.pause(1.0)
            if app.query_one("#costs", DataTable).row_count:
                break
        app.save_screenshot(str(OUT / "cost.svg"))
        return 0 if app.picture and app.picture.plans else 1


if __name__ == "__main__":
    sys.exit(main())
