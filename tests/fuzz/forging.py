"""Forgeries that must be refused with their codes: batches no honest client sends, and names that are none."""

from __future__ import annotations

from typing import Any

from tests.fuzz.batches import Header, batch, forgeries
from tests.fuzz.bystander import ask, create
from tests.fuzz.target import Target

BAD_NAMES = ("../../etc/passwd", "a\0b", "x" * 250, "", ".", "..", "a b", "naïve", "a/b", "%s%n\r\n")
FORGED = "forged"
INVALID_TOPIC, UNKNOWN_TOPIC = 17, 3
_PRODUCE, _INIT_PRODUCER, _METADATA, _CREATE = (0, 9), (22, 4), (3, 9), (19, 7)


def produce(target: Target, topic: str, records: bytes) -> Any:
    """The answer for one partition."""
    data = [{"name": topic, "partition_data": [{"index": 0, "records": records}]}]
    asked = {"acks": -1, "timeout": 5000, "topic_data": data}
    return ask(target, _PRODUCE, asked).responses[0].partition_responses[0]


def check_forgeries(address: tuple[str, int], topic: str = FORGED) -> list[str]:
    """Every forged batch; what was answered otherwise than it should."""
    target = Target(address)
    create(target, topic, 1)
    ids = [ask(target, _INIT_PRODUCER, {"transaction_timeout": 60_000, "producer_id": -1, "producer_epoch": -1})
           for _ in range(2)]  # fmt: skip
    writer, other = (int(each.producer_id) for each in ids)
    faults = []
    for epoch in (0, 1):
        first = produce(target, topic, batch(Header(producer=writer, epoch=epoch, sequence=0)))
        if int(first.error_code):
            faults.append(f"an honest batch of epoch {epoch} was refused with {int(first.error_code)}")
    end = produce(target, topic, batch()).base_offset
    for forgery in forgeries(writer, other):
        code = int(produce(target, topic, forgery.data).error_code)
        if code not in forgery.codes:
            faults.append(f"{forgery.name}: error {code}, not {sorted(forgery.codes)}")
    if (now := produce(target, topic, batch()).base_offset) != end + 1:
        faults.append(f"forgeries took {now - end - 1} offsets")
    target.close()
    return faults


def check_names(address: tuple[str, int]) -> list[str]:
    """Names that no topic may have: refused by name, and nothing is made of them."""
    target, faults = Target(address), []
    for name in BAD_NAMES:
        asked = {"name": name, "num_partitions": 1, "replication_factor": 1}
        made = int(ask(target, _CREATE, {"topics": [asked], "timeout": 5000}).topics[0].error_code)
        written = int(produce(target, name, batch()).error_code)
        seen = ask(target, _METADATA, {"topics": [{"name": name}], "allow_auto_topic_creation": True})
        found = int(seen.topics[0].error_code)
        if made != INVALID_TOPIC or written not in (UNKNOWN_TOPIC, INVALID_TOPIC) or found not in (3, 17):
            faults.append(f"topic name {name[:30]!r}: create {made}, produce {written}, metadata {found}")
    target.close()
    return faults
