"""A dead process on a host that lives is missed sooner than a session: its address refuses."""

from pathlib import Path

import pytest

from tests.faults.brokers import Brokers
from tests.faults.test_restore import create_topic, produce, values


@pytest.mark.heavy
def test_a_killed_broker_is_missed_because_nobody_listens_where_it_was(tmp_path: Path) -> None:
    brokers = Brokers(tmp_path, count=2, flags=("--no-bill", "--wal", "objects://"))
    try:
        brokers.start()
        create_topic(brokers)
        produce(brokers, range(40))
        brokers.kill(1)
        produce(brokers, range(40, 80))
        assert "and nobody listens there); broker 0 recovers it" in brokers.narration(0)
        assert values(brokers) == list(range(80))
    finally:
        brokers.stop()
