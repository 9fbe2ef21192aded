"""client.rack: a reader of another zone than the leader's is served by the broker of its own zone (KIP-392)."""

from __future__ import annotations

import time
from contextlib import closing

from tests.clients import reference
from tests.clients.cells import Ground
from tests.clients.driver import Driver, Reading, records_of
from tests.clients.records import Got, differences
from tests.clients.scrape import bytes_read_from

_POLL_S = 0.2
_PIECES = 10


def near(driver: Driver, ground: Ground) -> list[str]:
    """Follows a tail that is written while it reads; the near broker says on /metrics what it served to this client."""
    reference.create(ground, ground.name, partitions=1)
    leader = reference.leaders(ground, ground.name)[0]
    own = (leader + 1) % len(ground.http)
    sent = records_of(driver, ground.records)
    piece = max(len(sent) // _PIECES, 1)
    got: list[Got] = []
    written = 0
    deadline = time.monotonic() + ground.timeout_s
    with closing(driver.reader(ground, ground.name, Reading(rack=f"zone-{own}"))) as reader:
        while len(got) < len(sent) and time.monotonic() < deadline:
            if written < len(sent) and len(got) == written:
                reference.write(ground, ground.name, sent[written : written + piece])
                written += len(sent[written : written + piece])
            got += reader.poll(_POLL_S)
    served = {broker: bytes_read_from(ground, broker) for broker in range(len(ground.http))}
    faults = differences(sent, [*got]) if got else ["nothing was read"]
    faults = [fault for fault in faults if "partition only" not in fault]
    if served[own] <= served[leader]:
        faults.append(f"in zone-{own}, of broker {leader}'s partition it read {served} bytes by broker")
    return faults
